// A headless Chromium for the browser tests.
//
// CHROME=PATH names an installed Chrome or Chromium. Without it, Linux on x86-64 uses the binary in
// the node package @sparticuz/chromium, and other platforms use the installed Chrome.
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

/**
 * Debian package of each shared library that the bundled binary needs, except those of the C
 * library.
 */
const PACKAGES = {
  'libexpat.so.1': 'libexpat1',
  'libnspr4.so': 'libnspr4',
  'libplc4.so': 'libnspr4',
  'libplds4.so': 'libnspr4',
  'libnss3.so': 'libnss3',
  'libnssutil3.so': 'libnss3',
};

/**
 * Starts Chromium with `flags` and a temporary profile, which is removed when the browser is
 * closed.
 */
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

/** Saves a screenshot of `page` as js-client-tests/screenshots/NAME.png. */
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

/**
 * Unpacks the bundled browser into `node_modules`; its default is a folder that all users share.
 */
async function unpack() {
  await mkdir(path.dirname(CACHE), { recursive: true });
  const partial = await mkdtemp(`${CACHE}-`);
  const { TMPDIR } = process.env;
  process.env.TMPDIR = partial;
  try {
    await bundled.executablePath();
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  }
  // The bundled fonts make screenshots independent of the fonts of the machine.
  await writeFile(
    path.join(partial, 'fonts.conf'),
    `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${CACHE}/fonts</dir>
  <cachedir>${CACHE}/fonts-cache</cachedir>
</fontconfig>
`,
  );
  // Renames the complete folder, so that no process sees a partial one. Another test file may have
  // been first.
  await rename(partial, CACHE).catch(async (error) => {
    await rm(partial, { recursive: true, force: true });
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
}

/** Fails with the packages to install if shared libraries of the binary are missing. */
async function checkLibraries(binary) {
  if (process.platform !== 'linux') return;
  // Without `ldd`, or if the binary is a script, the launch reports the problem.
  const { stdout } = await promisify(execFile)('ldd', [binary]).catch(() => ({ stdout: '' }));
  const missing = [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map(([, library]) => library);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((library) => PACKAGES[library] ?? `the package with ${library}`))];
  throw new Error(
    `Chromium cannot start: missing shared libraries: ${missing.join(', ')}.\n` +
      `On Debian: apt-get install ${packages.join(' ')}\n` +
      'Or set CHROME to an installed Chrome or Chromium.',
  );
}
