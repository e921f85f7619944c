// A Redis server for one test file.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findProgram, freePort, isListening } from './balancer.mjs';

/**
 * Starts Redis on a free port and returns its address, or `undefined` with a printed reason if it is
 * not installed. It ends with the process.
 */
export async function startRedis() {
  const program = await findProgram('redis-server');
  if (!program) {
    console.log('redis-server is not installed: the servers are not connected');
    return undefined;
  }
  const folder = mkdtempSync(path.join(tmpdir(), 'redis-'));
  const port = await freePort();
  const args = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--dir', folder];
  const child = spawn(program, args, { stdio: 'ignore' });
  process.once('exit', () => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  child.unref();
  if (!(await isListening(port, once(child, 'exit')))) throw new Error('redis-server did not start');
  return `127.0.0.1:${port}`;
}
