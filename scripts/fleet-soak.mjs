// Two servers on one Redis, which is killed and restarted every minute while clients join groups,
// leave them and talk. By hand:
//
//   node scripts/fleet-soak.mjs SERVER_COMMAND [MINUTES] [CLIENTS]
//
// SERVER_COMMAND is `examples/conformance` built with `--features redis`; `--urls URL` is appended.
// At the end, Redis has the fixed channels of the servers alone, and the memory of the servers is
// compared with that after their first clients.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from './light-client.mjs';

const [command, minutes = '30', clientCount = '2000'] = process.argv.slice(2);
if (!command) {
  console.error('usage: fleet-soak.mjs SERVER_COMMAND [MINUTES] [CLIENTS]');
  process.exit(2);
}
const GROUPS = 200;
const SETTLE_MS = 20_000;

const folder = mkdtempSync(join(tmpdir(), 'fleet-soak-'));
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function start(file, args, env = {}) {
  const child = spawn(file, args, { stdio: 'ignore', env: { ...process.env, ...env } });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

const redisPort = await freePort();
const startRedis = () =>
  start('redis-server', ['--port', redisPort, '--bind', '127.0.0.1', '--save', '', '--dir', folder]);

/** Sends one command to Redis and returns its raw reply. */
async function redis(...words) {
  const socket = net.connect(redisPort, '127.0.0.1');
  socket.setEncoding('utf8');
  let reply = '';
  socket.on('data', (text) => (reply += text));
  socket.end([`*${words.length}`, ...words.flatMap((word) => [`$${word.length}`, word]), ''].join('\r\n'));
  await once(socket, 'close');
  return reply;
}

async function startServer() {
  const url = `http://127.0.0.1:${await freePort()}`;
  const [file, ...args] = command.split(' ');
  const server = start(file, [...args, '--urls', url], { REFERENCE_REDIS: `127.0.0.1:${redisPort}` });
  const ready = () => fetch(`${url}/ready`).then((response) => response.ok, () => false);
  while (!(await ready())) await sleep(100);
  return { url, pid: server.pid };
}

/** Resident memory of a process in bytes, of which the allocator may keep some for later. */
const residentBytes = ({ pid }) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

const totals = { connected: 0, calls: 0, failed: 0, lostConnections: 0, rejected: 0 };
let isOver = false;

/** One client after another, each of which lives for some seconds. */
async function live(server) {
  while (!isOver) {
    let client;
    try {
      client = await Client.connect(server.url);
    } catch {
      totals.rejected += 1;
      await sleep(500 + Math.random() * 500);
      continue;
    }
    totals.connected += 1;
    let isClosed = false;
    client.onClosed(() => (isClosed = true));
    const group = `group ${Math.floor(Math.random() * GROUPS)}`;
    const until = Date.now() + 2000 + Math.random() * 20_000;
    while (!isOver && !isClosed && Date.now() < until) {
      const call = Math.random() < 0.2
        ? client.invoke(Math.random() < 0.5 ? 'Join' : 'Leave', group)
        : client.invoke('ToGroup', group, 'a message');
      totals.calls += 1;
      await call.catch(() => (totals.failed += 1));
      await sleep(500 + Math.random() * 1500);
    }
    if (isClosed) totals.lostConnections += 1;
    client.close();
  }
}

async function clientsFor(milliseconds, servers, disturb) {
  isOver = false;
  const clients = Array.from({ length: Number(clientCount) }, (_, n) => live(servers[n % servers.length]));
  await disturb(milliseconds);
  isOver = true;
  await Promise.all(clients);
  await sleep(SETTLE_MS);
}

let redisServer = startRedis();
const servers = [await startServer(), await startServer()];
// Memory that the allocator keeps after the first clients is no growth.
await clientsFor(30_000, servers, sleep);
const before = servers.map(residentBytes);
await clientsFor(Number(minutes) * 60_000, servers, async (milliseconds) => {
  const until = Date.now() + milliseconds;
  while (Date.now() + 60_000 <= until) {
    await sleep(50_000);
    redisServer.kill('SIGKILL');
    await once(redisServer, 'exit');
    await sleep(5_000);
    redisServer = startRedis();
    await sleep(5_000);
  }
});
const after = servers.map(residentBytes);
const channels = (await redis('PUBSUB', 'CHANNELS')).split('\r\n').filter((line) => line.includes(':'));
const left = channels.filter((name) => !/:(all|internal:.*)$/.test(name));
console.log(totals);
console.log(`resident memory in MB: ${before.map((b) => (b / 1e6).toFixed(1))} before, ${after.map((b) => (b / 1e6).toFixed(1))} after`);
console.log(`channels: ${channels.length} fixed, ${left.length} others`, left.slice(0, 5));
process.exit(left.length === 0 ? 0 : 1);
