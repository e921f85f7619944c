// `npm start`: the node packages that it installs, signals and exit codes. The scripts run in a
// temporary project, with programs that stand in for npm, cargo and the server.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withTimeout } from './support/message-queue.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PACKAGE = { type: 'module', dependencies: { client: '1' }, devDependencies: { browser: '1' } };
const TEST = { timeout: 60_000, skip: process.platform === 'win32' && 'the stand-ins are Unix programs' };

/** Installs empty packages and appends its arguments to `npm.log`. */
const NPM = `
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
const args = process.argv.slice(2);
appendFileSync('npm.log', args.join(' ') + '\\n');
for (const name of ['client', ...(args.includes('--omit=dev') ? [] : ['browser'])]) {
  mkdirSync('node_modules/' + name, { recursive: true });
  writeFileSync('node_modules/' + name + '/package.json', '{}');
}
writeFileSync('node_modules/.package-lock.json', '{}');
`;

/**
 * Builds nothing. Runs a server that exits with EXIT_CODE, or with 3 after SIGTERM and 4 after
 * SIGINT.
 */
const CARGO = `#!${process.execPath}
const [command, ...args] = process.argv.slice(2);
if (command === 'run') {
  const code = process.env.EXIT_CODE;
  if (code !== undefined) process.exit(Number(code));
  process.on('SIGTERM', () => process.exit(3));
  process.on('SIGINT', () => process.exit(4));
  setTimeout(() => process.exit(9), 30_000);
  console.log('server ' + process.pid + ' ' + args.slice(args.indexOf('--') + 1).join(' '));
}
`;

/** Runs `body` with a temporary project. */
async function withProject(body) {
  const { scripts } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8'));
  const root = await mkdtemp(path.join(os.tmpdir(), 'npm-start-'));
  const file = (name) => path.join(root, name);
  try {
    for (const folder of ['scripts', 'bin']) await mkdir(file(folder));
    for (const name of ['run.mjs', 'start.mjs']) {
      await copyFile(path.join(ROOT, 'scripts', name), file(`scripts/${name}`));
    }
    await writeFile(file('package.json'), JSON.stringify(PACKAGE));
    await writeFile(file('package-lock.json'), '{}');
    await writeFile(file('npm.js'), NPM);
    await writeFile(file('bin/cargo'), CARGO);
    await chmod(file('bin/cargo'), 0o755);
    await body({
      /** Runs the script `start` of `package.json` in a shell, as npm does. */
      start: (args = [], env = {}) => runIn(root, 'sh', ['-c', [scripts.start, ...args].join(' ')], env),
      /** Installs the node packages as `npm test` does. */
      async installForTests() {
        const module = JSON.stringify(file('scripts/run.mjs'));
        const script = `(await import(${module})).installNodePackages({ dev: true })`;
        const { child } = runIn(root, process.execPath, ['--input-type=module', '--eval', `await ${script}`], {});
        assert.deepEqual(await once(child, 'close'), [0, null]);
      },
      installs: async () => (await readFile(file('npm.log'), 'utf8')).trim().split('\n'),
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function runIn(root, program, args, env) {
  const folders = [path.join(root, 'bin'), path.dirname(process.execPath), process.env.PATH];
  const child = spawn(program, args, {
    cwd: root,
    env: {
      ...process.env,
      PATH: folders.join(path.delimiter),
      npm_execpath: path.join(root, 'npm.js'),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return { child, lines: createInterface({ input: child.stdout }) };
}

for (const [signal, code] of [['SIGTERM', 3], ['SIGINT', 4]]) {
  test(`npm start forwards ${signal} to the server and exits with the exit code of the server`, TEST, async () => {
    await withProject(async ({ start }) => {
      const { child, lines } = start(['--urls', 'http://127.0.0.1:0']);
      const closed = once(child, 'close');
      const [line] = await withTimeout(once(lines, 'line'), 'the server to start');
      const [, pid, ...args] = line.split(' ');
      assert.deepEqual(args, ['--urls', 'http://127.0.0.1:0']);
      child.kill(signal);
      assert.deepEqual(await withTimeout(closed, 'npm start to exit'), [code, null]);
      assert.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' });
    });
  });
}

test('npm start exits when the server exits', TEST, async () => {
  await withProject(async ({ start }) => {
    for (const code of [0, 7]) {
      const { child } = start([], { EXIT_CODE: `${code}` });
      assert.deepEqual(await withTimeout(once(child, 'close'), 'npm start to exit'), [code, null]);
    }
  });
});

test('npm start installs no development packages, and npm test adds them', TEST, async () => {
  await withProject(async ({ start, installForTests, installs }) => {
    const startOnce = async () => {
      const { child } = start([], { EXIT_CODE: '0' });
      await withTimeout(once(child, 'close'), 'npm start to exit');
    };
    const production = 'ci --no-audit --no-fund --omit=dev';
    const all = 'ci --no-audit --no-fund';
    await startOnce();
    assert.deepEqual(await installs(), [production]);
    await startOnce();
    assert.deepEqual(await installs(), [production]);
    await installForTests();
    assert.deepEqual(await installs(), [production, all]);
    await installForTests();
    await startOnce();
    assert.deepEqual(await installs(), [production, all]);
  });
});
