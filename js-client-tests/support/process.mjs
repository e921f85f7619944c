// Starts one of this project's example servers on a free port and ends it again.
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { within } from './message-queue.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_MS = 30_000;
const STOP_MS = 10_000;

/** Where cargo puts the debug build of example `name`. */
export function exampleBinary(name) {
  const target = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target');
  return path.join(target, 'debug', 'examples', process.platform === 'win32' ? `${name}.exe` : name);
}

/**
 * The server with the conformance hubs: the one at SERVER if it is set, and else the built example on a free port.
 * CONFORMANCE names another binary.
 */
export async function conformanceServer() {
  if (process.env.SERVER) return { url: process.env.SERVER.replace(/\/$/, ''), stop: async () => {} };
  return startServer(process.env.CONFORMANCE ?? exampleBinary('conformance'));
}

/**
 * Runs `binary` on free ports until `stop()`, with more `options`; resolves when it has said where it listens for each of
 * `asked`.
 */
export async function startServer(binary, asked = ['http://127.0.0.1:0'], options = []) {
  await access(binary).catch(() => {
    throw new Error(`${binary} is not there: run \`cargo build --examples\`, or \`npm test\`, which does`);
  });
  const child = spawn(binary, ['--urls', asked.join(';'), ...options], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const killed = () => child.kill('SIGKILL');
  process.once('exit', killed);

  const log = [];
  const lines = new EventEmitter();
  const urls = [];
  let found;
  const listening = new Promise((resolve, reject) => {
    found = resolve;
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`${binary} ended (${signal ?? code}):\n${log.join('\n')}`)));
  });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      log.push(line);
      const url = /Now listening on: (\S+)/.exec(line)?.[1];
      if (url && urls.push(url) === asked.length) found();
      lines.emit('line');
    });
  }
  await within(listening, `${binary} to listen`, START_MS);

  return {
    url: urls[0],
    urls,
    log,
    /** The first line that matches `pattern`, among those printed so far or to come. */
    async logged(pattern) {
      const found = async () => {
        for (;;) {
          const line = log.find((printed) => pattern.test(printed));
          if (line !== undefined) return line;
          await once(lines, 'line');
        }
      };
      return within(found(), `a line like ${pattern}`);
    },
    /** Ends it; `log` is complete then. */
    async stop() {
      process.removeListener('exit', killed);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'close');
      child.kill();
      await within(gone, `${binary} to end`, STOP_MS).catch(async (late) => {
        child.kill('SIGKILL');
        await gone;
        throw late;
      });
    },
  };
}
