// nginx and HAProxy with the configurations of the deployment guide, and servers behind them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FaultProxy } from './fault-proxy.mjs';
import { TIMEOUT_MS, withTimeout } from './message-queue.mjs';
import { exampleBinary, startServer } from './process.mjs';

const BALANCERS = {
  nginx: { file: 'nginx.conf', listens: 'listen 80;', write: writeNginx },
  haproxy: { file: 'haproxy.cfg', listens: 'bind :80', write: writeHaproxy },
};
export const BALANCER_NAMES = Object.keys(BALANCERS);

/** Number of ports to try; another process can take a free port before the balancer listens. */
const MAX_PORTS = 5;

/** Returns the text of the configuration in the deployment guide. */
export function configuration(name) {
  return readFile(new URL(`../balancers/${BALANCERS[name].file}`, import.meta.url), 'utf8');
}

/** Returns the path of a program, or `undefined` if it is not installed. */
export async function findProgram(name) {
  for (const folder of [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin']) {
    const file = path.join(folder, name);
    const isExecutable = await access(file, constants.X_OK).then(() => true, () => false);
    if (isExecutable) return file;
  }
  return undefined;
}

/**
 * Starts a balancer in front of `servers`. Without `sticky`, the lines of its configuration that
 * are marked so are left out, and the balancer takes turns.
 */
export async function startBalancer(name, servers, { sticky = false } = {}) {
  const { listens, write } = BALANCERS[name];
  const program = await findProgram(name);
  let text = await configuration(name);
  if (!sticky) text = text.split('\n').filter((line) => !line.includes('# sticky')).join('\n');
  text = text.replace('location /hubs/', 'location /');
  servers.forEach(({ url }, index) => (text = text.replace(`10.0.0.${index + 1}:5000`, new URL(url).host)));
  const folder = await mkdtemp(path.join(tmpdir(), `${name}-`));
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const address = `${listens.replace(/:?80/, `127.0.0.1:${port}`)}`;
    const args = await write(folder, text.replace(listens, address));
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const log = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => log.push(data));
    const exited = new Promise((resolve) => child.once('close', resolve));
    if (await isListening(port, exited)) return new Balancer(`http://127.0.0.1:${port}`, child, exited, folder);
    const output = Buffer.concat(log).toString();
    if (attempt === MAX_PORTS || !/in use/i.test(output)) throw new Error(`${name} did not start:\n${output}`);
  }
}

class Balancer {
  #child;
  #exited;
  #folder;

  constructor(url, child, exited, folder) {
    this.url = url;
    this.#child = child;
    this.#exited = exited;
    this.#folder = folder;
    process.once('exit', this.#kill);
  }

  #kill = () => this.#child.kill('SIGKILL');

  async stop() {
    process.removeListener('exit', this.#kill);
    this.#kill();
    await this.#exited;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function writeNginx(folder, text) {
  await writeFile(path.join(folder, 'signalr.conf'), text);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const main = `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr;
events {}
http {
  ${temporary.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join('\n  ')}
  include ${folder}/signalr.conf;
}`;
  await writeFile(path.join(folder, 'nginx.conf'), main);
  return ['-e', 'stderr', '-p', folder, '-c', path.join(folder, 'nginx.conf')];
}

async function writeHaproxy(folder, text) {
  const file = path.join(folder, 'haproxy.cfg');
  await writeFile(file, text);
  return ['-db', '-f', file];
}

export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until connections to `port` are accepted or the process has exited. */
export async function isListening(port, exited) {
  let isRunning = true;
  exited.then(() => (isRunning = false));
  const deadline = performance.now() + TIMEOUT_MS;
  while (isRunning && performance.now() < deadline) {
    const socket = net.connect(port, '127.0.0.1');
    const isOpen = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (isOpen) return isRunning;
    await delay(5);
  }
  return false;
}

/** A conformance server behind a TCP proxy, so that its URL stays the same after a restart. */
export class RestartableServer {
  #front;
  #options;
  #server;

  /** With `redirects`, the server redirects clients to its URL. */
  static async start({ redirects = false } = {}) {
    const server = new this();
    server.#front = await FaultProxy.start('http://127.0.0.1');
    server.url = server.#front.url;
    server.#options = redirects ? ['--server-url', server.url] : [];
    await server.#startProcess();
    return server;
  }

  /** Stops the server as a signal does, starts it again, and refuses connections meanwhile. */
  async restart() {
    const { server: listener } = this.#front;
    listener.close();
    await this.#server.stop();
    await this.#startProcess();
    listener.listen(Number(new URL(this.url).port), '127.0.0.1');
    await once(listener, 'listening');
  }

  /** Cuts all connections to the server. */
  cut() {
    this.#front.cut();
  }

  async stats() {
    return (await fetch(`${this.url}/outside/stats`)).json();
  }

  async stop() {
    await this.#server?.stop();
    await withTimeout(this.#front.close(), 'the proxy to close');
  }

  async #startProcess() {
    const binary = process.env.CONFORMANCE ?? exampleBinary('conformance');
    this.#server = await startServer(binary, undefined, this.#options);
    this.#front.target = new URL(this.#server.url);
  }
}
