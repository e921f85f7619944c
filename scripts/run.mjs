// Shared by the scripts: runs programs and installs the node packages.
import { spawn } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Signals that are forwarded to a child process, so that it does not outlive its script. */
const FORWARDED_SIGNALS = ['SIGINT', 'SIGTERM'];

/**
 * Runs a program at the root of the project. Resolves with its exit code, the signal that ended it
 * and its output. With `show` the output goes to the terminal instead, and SIGINT and SIGTERM are
 * forwarded to the program.
 */
export function run(program, args, { show = false, env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: show ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    });
    // A terminal sends SIGINT to the child as well; programs have to accept a second one.
    const forward = (signal) => child.kill(signal);
    if (show) for (const signal of FORWARDED_SIGNALS) process.on(signal, forward);
    const stopForwarding = () => FORWARDED_SIGNALS.forEach((signal) => process.off(signal, forward));

    const output = [];
    child.stdout?.on('data', (bytes) => output.push(bytes));
    child.stderr?.on('data', (bytes) => output.push(bytes));
    child.once('error', (error) => {
      stopForwarding();
      reject(new Error(`failed to run ${program}: ${error.message}`));
    });
    child.once('close', (code, signal) => {
      stopForwarding();
      resolve({ code: code ?? 1, signal, output: Buffer.concat(output).toString() });
    });
  });
}

/** As `run` with `show`, but rejects if the program fails. */
export async function must(program, args) {
  const { code, signal } = await run(program, args, { show: true });
  const ending = signal ? `was ended by ${signal}` : `failed with exit code ${code}`;
  if (code !== 0) throw new Error(`\`${[program, ...args].join(' ')}\` ${ending}`);
}

/**
 * Installs the locked node packages unless they are installed and newer than the lock file.
 * Development packages are included if `dev` is set.
 */
export async function installNodePackages({ dev }) {
  if (await arePackagesInstalled(dev)) return;
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', ...(dev ? [] : ['--omit=dev'])];
  if (npm?.endsWith('js')) await must(process.execPath, [npm, ...args]);
  else await must(process.platform === 'win32' ? 'npm.cmd' : 'npm', args);
}

async function arePackagesInstalled(dev) {
  const modified = (file) => stat(`${ROOT}/${file}`).then((found) => found.mtimeMs, () => 0);
  if ((await modified('node_modules/.package-lock.json')) < (await modified('package-lock.json'))) return false;
  const { dependencies, devDependencies } = JSON.parse(await readFile(`${ROOT}/package.json`, 'utf8'));
  const names = Object.keys({ ...dependencies, ...(dev ? devDependencies : {}) });
  const found = await Promise.all(names.map((name) => modified(`node_modules/${name}/package.json`)));
  return found.every((time) => time > 0);
}
