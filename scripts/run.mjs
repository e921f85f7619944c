// What the scripts share: running a program, and having the node packages installed.
import { spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * Runs a program at the root of the project and resolves with its exit code and what it printed.
 * `show` lets it print at once instead.
 */
export function run(program, args, { show = false, env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: show ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    });
    const output = [];
    child.stdout?.on('data', (bytes) => output.push(bytes));
    child.stderr?.on('data', (bytes) => output.push(bytes));
    child.once('error', (error) => reject(new Error(`${program} cannot be run: ${error.message}`)));
    child.once('close', (code, signal) => {
      resolve({ code: code ?? 1, signal, output: Buffer.concat(output).toString() });
    });
  });
}

/** As `run` with `show`, but rejects when the program fails. */
export async function must(program, args) {
  const { code } = await run(program, args, { show: true });
  if (code !== 0) throw new Error(`\`${[program, ...args].join(' ')}\` failed with exit code ${code}`);
}

/** Installs the locked node packages, unless the installed ones are as new as the lock. */
export async function installNodePackages() {
  const age = (file) => stat(`${ROOT}/${file}`).then((found) => found.mtimeMs, () => 0);
  if ((await age('node_modules/.package-lock.json')) >= (await age('package-lock.json'))) return;
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund'];
  if (npm?.endsWith('js')) await must(process.execPath, [npm, ...args]);
  else await must(process.platform === 'win32' ? 'npm.cmd' : 'npm', args);
}
