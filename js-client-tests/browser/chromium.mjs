// A headless Chromium for the browser tests.
//
// CHROME=PATH names an installed Chrome or Chromium. Without it, Linux on x86-64 uses the binary that
// @sparticuz/chromium brings as a node package, and any other machine the Chrome that is installed on it.
import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import bundled from '@sparticuz/chromium';
import { chromium } from 'playwright-core';

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/chromium', import.meta.url));
const SCREENSHOTS = fileURLToPath(new URL('../screenshots', import.meta.url));

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Debian's package of each shared library that the bundled binary is linked to, besides the C library's own. */
const PACKAGES = {
  'libexpat.so.1': 'libexpat1',
  'libnspr4.so': 'libnspr4',
  'libplc4.so': 'libnspr4',
  'libplds4.so': 'libnspr4',
  'libnss3.so': 'libnss3',
  'libnssutil3.so': 'libnss3',
};

/** Starts Chromium with a fresh profile, which is removed when the browser is closed, and `flags` of its own. */
export async function launchChromium(flags = []) {
  const { executablePath, env } = await browserBinary();
  if (executablePath) await checkLibraries(executablePath);
  return chromium.launch({
    headless: true,
    args: [...FLAGS, ...flags],
    env: { ...process.env, ...env },
    ...(executablePath ? { executablePath } : { channel: 'chrome' }),
  });
}

/** Keeps a picture of `page` as js-client-tests/screenshots/NAME.png. */
export async function screenshot(page, name) {
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

async function browserBinary() {
  if (process.env.CHROME) return { executablePath: process.env.CHROME };
  if (process.platform !== 'linux' || process.arch !== 'x64') return {};
  const executablePath = path.join(CACHE, 'chromium');
  await access(executablePath).catch(unpack);
  return { executablePath, env: { FONTCONFIG_FILE: path.join(CACHE, 'fonts.conf') } };
}

/** Unpacks the bundled browser beside its package, and not, as it would by itself, where all users share it. */
async function unpack() {
  await mkdir(path.dirname(CACHE), { recursive: true });
  const half = await mkdtemp(`${CACHE}-`);
  const { TMPDIR } = process.env;
  process.env.TMPDIR = half;
  try {
    await bundled.executablePath();
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  }
  // Its own fonts, so that the pictures are the same on a machine without any.
  await writeFile(
    path.join(half, 'fonts.conf'),
    `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${CACHE}/fonts</dir>
  <cachedir>${CACHE}/fonts-cache</cachedir>
</fontconfig>
`,
  );
  // Only a complete folder gets the name, and another test file may have been first.
  await rename(half, CACHE).catch(async (error) => {
    await rm(half, { recursive: true, force: true });
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
}

/** Fails with the names of the packages to install when the binary's shared libraries are not there. */
async function checkLibraries(binary) {
  if (process.platform !== 'linux') return;
  // No ldd, or a binary that is a script: the launch will tell.
  const { stdout } = await promisify(execFile)('ldd', [binary]).catch(() => ({ stdout: '' }));
  const missing = [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map(([, library]) => library);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((library) => PACKAGES[library] ?? `the package of ${library}`))];
  throw new Error(
    `Chromium cannot start, because these libraries are missing: ${missing.join(', ')}.\n` +
      `On Debian: apt-get install ${packages.join(' ')}\n` +
      'Or set CHROME to an installed Chrome or Chromium.',
  );
}
