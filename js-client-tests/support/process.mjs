// Starts an example server of this project on a free port and stops it again.
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { withTimeout } from './message-queue.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;

/** Returns the path of the debug build of example `name`. */
export function exampleBinary(name) {
  const target = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target');
  return path.join(target, 'debug', 'examples', process.platform === 'win32' ? `${name}.exe` : name);
}

/**
 * Returns the server with the conformance hubs: the running server at SERVER if that is set, else a
 * new process of the example on a free port. CONFORMANCE names another binary.
 */
export async function conformanceServer() {
  if (process.env.SERVER) return { url: process.env.SERVER.replace(/\/$/, ''), stop: async () => {} };
  return startServer(process.env.CONFORMANCE ?? exampleBinary('conformance'));
}

/**
 * Runs `binary` with the listen addresses `addresses` and with `options` until `stop()`. Resolves
 * when it has printed one URL for each address.
 */
export async function startServer(binary, addresses = ['http://127.0.0.1:0'], options = []) {
  await access(binary).catch(() => {
    throw new Error(`${binary} does not exist: run \`cargo build --examples\` or \`npm test\``);
  });
  const args = ['--urls', addresses.join(';'), ...options];
  const child = spawn(binary, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);

  const log = [];
  const lines = new EventEmitter();
  const urls = [];
  let onListening;
  const listening = new Promise((resolve, reject) => {
    onListening = resolve;
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`${binary} exited (${signal ?? code}):\n${log.join('\n')}`)));
  });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      log.push(line);
      const url = /Now listening on: (\S+)/.exec(line)?.[1];
      if (url && urls.push(url) === addresses.length) onListening();
      lines.emit('line');
    });
  }
  await withTimeout(listening, `${binary} to listen`, START_TIMEOUT_MS);

  return {
    url: urls[0],
    urls,
    log,
    /** Returns the first line that matches `pattern`; waits for it if necessary. */
    async waitForLog(pattern) {
      const find = async () => {
        for (;;) {
          const line = log.find((printed) => pattern.test(printed));
          if (line !== undefined) return line;
          await once(lines, 'line');
        }
      };
      return withTimeout(find(), `a log line that matches ${pattern}`);
    },
    /** Stops the process. `log` is complete afterwards. */
    async stop() {
      process.removeListener('exit', kill);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, 'close');
      child.kill();
      await withTimeout(closed, `${binary} to exit`, STOP_TIMEOUT_MS).catch(async (timeout) => {
        child.kill('SIGKILL');
        await closed;
        throw timeout;
      });
    },
  };
}
