// Measures two servers of one hub on one backplane, by hand:
//
//   node scripts/fleet-load.mjs URL_A URL_B [PID_A PID_B]
//
// Both serve the hub of `examples/conformance` at `/conformance`. With the ids of their processes,
// the CPU time of both is printed per broadcast and per delivery.
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { Client } from './light-client.mjs';

const RECEIVERS = 1000;
const BROADCASTS = 300;
const GROUP_MESSAGES = 20_000;
const SENDERS = 16;
const ROUND_TRIPS = 3000;

const [urlA, urlB, ...pids] = process.argv.slice(2);
if (!urlB) {
  console.error('usage: fleet-load.mjs URL_A URL_B [PID_A PID_B]');
  process.exit(2);
}

/** CPU time of the servers in nanoseconds. */
function cpuTime() {
  const ticks = pids.map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((total, ticks) => total + ticks, 0) * 1e7;
}

async function measured(work) {
  const [cpu, began] = [cpuTime(), performance.now()];
  await work();
  return { cpu: cpuTime() - cpu, seconds: (performance.now() - began) / 1000 };
}

/** Lets `callers` run `count` calls of `work`, each of them one after another. */
async function repeat(count, callers, work) {
  let started = 0;
  await Promise.all(callers.map(async (caller) => {
    while (started < count) {
      started += 1;
      await work(caller);
    }
  }));
}

/** Resolves when the clients have received `count` messages together. */
function received(clients, count) {
  let missing = count;
  return new Promise((resolve) => {
    for (const client of clients) {
      client.onMessage = () => {
        missing -= 1;
        if (missing === 0) resolve();
      };
    }
  });
}

const percentile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];

async function broadcasts(sender, receivers, count) {
  const all = received(receivers, receivers.length * count);
  await repeat(count, [sender], () => sender.invoke('ToAll', 'a short message'));
  await all;
}

const sender = await Client.connect(urlA);
const receiver = await Client.connect(urlB);

// Broadcasts to one client of the other server: the cost of the backplane.
await broadcasts(sender, [receiver], 1000);
const alone = await measured(() => broadcasts(sender, [receiver], 10 * BROADCASTS));
if (pids.length) console.log(`broadcast to two clients: ${(alone.cpu / 10 / BROADCASTS / 1000).toFixed(1)} us of CPU`);

await receiver.invoke('Join', 'load');
const latencies = [];
for (let n = 0; n < ROUND_TRIPS; n += 1) {
  const arrived = received([receiver], 1);
  const began = performance.now();
  const sent = sender.invoke('ToGroup', 'load', 'x');
  await arrived;
  latencies.push(performance.now() - began);
  await sent;
}
latencies.sort((a, b) => a - b);
console.log(`call on one server to message on the other: p50 ${percentile(latencies, 0.5).toFixed(3)} ms, p99 ${percentile(latencies, 0.99).toFixed(3)} ms`);

const senders = [];
for (let n = 0; n < SENDERS; n += 1) senders.push(await Client.connect(urlA));
const group = await measured(async () => {
  const all = received([receiver], GROUP_MESSAGES);
  await repeat(GROUP_MESSAGES, senders, (client) => client.invoke('ToGroup', 'load', 'a short message'));
  await all;
});
console.log(`messages to one group: ${Math.round(GROUP_MESSAGES / group.seconds)} a second`);

for (const client of senders) client.close();

const receivers = [];
for (let n = 0; n < RECEIVERS; n += 1) receivers.push(await Client.connect(urlB));
receivers.push(receiver);
await broadcasts(sender, receivers, 20);
const many = await measured(() => broadcasts(sender, receivers, BROADCASTS));
if (pids.length) {
  console.log(`broadcast to ${RECEIVERS} clients of the other server: ${(many.cpu / BROADCASTS / 1000).toFixed(0)} us of CPU, `
    + `${Math.round(many.cpu / BROADCASTS / RECEIVERS)} ns a delivery`);
}
for (const client of [sender, receiver, ...receivers]) client.close();
