// Three servers behind nginx and HAProxy, with the configurations of the deployment guide: clients
// that the servers redirect to themselves, sticky sessions, and a rolling restart.
//
// The servers share a Redis, and messages to a group must reach its members on all servers.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { HttpTransportType, HubConnectionState } from '@microsoft/signalr';
import { BALANCER_NAMES, RestartableServer, configuration, findProgram, startBalancer } from './support/balancer.mjs';
import { FaultProxy } from './support/fault-proxy.mjs';
import { Fixture } from './support/fixture.mjs';
import { combinations } from './support/matrix.mjs';
import { MessageQueue } from './support/message-queue.mjs';
import { startRedis } from './support/redis.mjs';

const SERVERS = 3;
const TEST_TIMEOUT_MS = 60_000;
/** Delays of automatic reconnect, in milliseconds. */
const RECONNECT = [0, ...Array(100).fill(100)];
// The servers inherit the variable.
process.env.REFERENCE_REDIS ??= (await startRedis()) ?? '';
const ARE_CONNECTED = Boolean(process.env.REFERENCE_REDIS);

/** Declares a test for each balancer. `setup` has the options `redirects` and `sticky`. */
function eachBalancer(name, setup, body) {
  describe(name, { concurrency: true }, () => {
    for (const balancer of BALANCER_NAMES) {
      test(balancer, { timeout: TEST_TIMEOUT_MS }, async (context) => {
        if (process.env.SERVER) return context.skip('SERVER names a single server');
        if (!(await findProgram(balancer))) return context.skip(`${balancer} is not installed`);
        const running = new Cluster();
        try {
          await running.start(balancer, setup);
          await body(running);
        } finally {
          await running.end();
        }
      });
    }
  });
}

/** Servers, their balancer, and clients. */
class Cluster {
  servers = [];
  #fixtures = [];
  #resources = [];

  async start(balancer, { redirects, sticky }) {
    const started = Array.from({ length: SERVERS }, () => RestartableServer.start({ redirects }));
    // In this order, so that those that have started are stopped after an error of another.
    for (const result of await Promise.allSettled(started)) if (result.value) this.servers.push(result.value);
    await Promise.all(started);
    this.balancer = await startBalancer(balancer, this.servers, { sticky });
  }

  /** Returns a fixture whose clients connect through the balancer, or to `url`. */
  fixture({ transport, protocol }, url = this.balancer.url) {
    const fixture = new Fixture(url, transport, protocol);
    this.#fixtures.push(fixture);
    return fixture;
  }

  /** Starts a TCP proxy in front of the balancer. */
  async proxy() {
    const proxy = await FaultProxy.start(this.balancer.url);
    this.#resources.push(proxy);
    return proxy;
  }

  /** Returns the numbers of connections of the servers. */
  async connections() {
    return Promise.all(this.servers.map(async (server) => (await server.stats()).connections));
  }

  /** Waits until the balancer uses `server` again after a restart. */
  async waitForRedirectTo(server) {
    const negotiate = async () => {
      const response = await fetch(`${this.balancer.url}/conformance/negotiate?negotiateVersion=1`, { method: 'POST' });
      return response.ok ? (await response.json()).url : '';
    };
    while (!(await negotiate()).startsWith(server.url)) await delay(10);
  }

  async end() {
    await Promise.allSettled(this.#fixtures.map((fixture) => fixture.end()));
    await Promise.allSettled(this.#resources.map((resource) => resource.close()));
    await this.balancer?.stop();
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

/** Two clients of each kind. */
const KINDS = [...combinations(), ...combinations()];
const WEB_SOCKETS = { transport: 'WebSockets', protocol: 'json' };

/** Connects clients of all kinds and checks that each exchanges messages with one server. */
async function connectAll(cluster) {
  const clients = await Promise.all(
    KINDS.map(async (kind) => {
      const client = await cluster.fixture(kind).connect('/conformance?tenant=a%20b');
      for (let round = 0; round < 4; round += 1) assert.equal(await client.invoke('ConnectionId'), client.id);
      assert.equal(await client.invoke('Transport'), kind.transport);
      assert.equal(await client.invoke('Query', 'tenant'), 'a b');
      assert.equal(await client.invoke('Query', 'signalr_server'), '');
      await client.invoke('ToCaller', 'hello');
      assert.equal(await client.messages.next(), 'hello');
      return client;
    }),
  );
  const counts = await cluster.connections();
  assert.equal(counts.reduce((sum, count) => sum + count), KINDS.length, String(counts));
  return { clients, counts };
}

eachBalancer('redirected clients of all transports stay with their server', { redirects: true }, async (cluster) => {
  const { clients, counts } = await connectAll(cluster);
  assert.ok(counts.every((count) => count > 0), String(counts));
  const urls = cluster.servers.map(({ url }) => new URL(url).host);
  for (const client of clients) assert.ok(urls.includes(await client.invoke('Header', 'host')));
});

eachBalancer('a redirected client resumes with stateful reconnect', { redirects: true }, async (cluster) => {
  const client = await cluster.fixture(WEB_SOCKETS).connect('/stateful', { stateful: true, reconnect: true });
  await assertResumes(client, () => cluster.servers.forEach((server) => server.cut()));
});

eachBalancer('sticky sessions keep clients of all transports with their server', { sticky: true }, async (cluster) => {
  await connectAll(cluster);
  // nginx selects the servers by a hash of random cookies.
  while ((await cluster.connections()).filter((count) => count > 0).length < SERVERS) {
    await cluster.fixture(WEB_SOCKETS).connect('/conformance');
  }
});

eachBalancer('sticky sessions lead a stateful reconnect to its server', { sticky: true }, async (cluster) => {
  const proxy = await cluster.proxy();
  const client = await cluster.fixture(WEB_SOCKETS, proxy.url).connect('/stateful', { stateful: true, reconnect: true });
  for (let round = 0; round < SERVERS; round += 1) await assertResumes(client, () => proxy.cut());
});

eachBalancer('balancers that take turns serve skipped negotiation alone', {}, async (cluster) => {
  const options = { skipNegotiation: true, transport: HttpTransportType.WebSockets };
  const client = await cluster.fixture(WEB_SOCKETS).connect('/conformance', { options });
  assert.equal(await client.invoke('Transport'), 'WebSockets');
  // The next server in turn does not have the connection.
  const polling = cluster.fixture({ transport: 'LongPolling', protocol: 'json' }).client('/conformance');
  await assert.rejects(polling.start(), /404/);
});

async function assertResumes(client, cut) {
  const { id } = client;
  await client.invoke('SetItem', 'k', 'v');
  cut();
  assert.equal(await client.invoke('GetItem', 'k'), 'v');
  assert.equal(await client.invoke('ConnectionId'), id);
  assert.equal(client.reconnecting.size, 0);
}

eachBalancer('clients rejoin their group in a rolling restart', { redirects: true }, async (cluster) => {
  const members = await Promise.all(KINDS.map((kind) => joinGroup(cluster.fixture(kind))));
  await exchangeMessages(members);
  for (const server of cluster.servers) {
    const hosts = await Promise.all(members.map(({ client }) => client.invoke('Header', 'host')));
    const isAffected = (_, index) => hosts[index] === new URL(server.url).host;
    const affected = members.filter(isAffected);
    const others = members.filter((...at) => !isAffected(...at));
    assert.ok(affected.length > 0 && others.length > 0, String(hosts));

    let isRestarting = true;
    const restart = server.restart().finally(() => (isRestarting = false));
    const exchanges = async () => {
      do await exchangeMessages(others);
      while (isRestarting);
    };
    await Promise.all([restart, exchanges(), ...affected.map(({ rejoined }) => rejoined.next())]);
    for (const { client } of others) assert.equal(client.reconnecting.size, 0);
    for (const { client } of affected) await client.reconnecting.next();
    await exchangeMessages(members);
    await cluster.waitForRedirectTo(server);
  }
  for (const { client } of members) assert.equal(client.hub.state, HubConnectionState.Connected);
});

/** Connects a client that joins the group, and joins it again as soon as it has reconnected. */
async function joinGroup(fixture) {
  const client = await fixture.connect('/conformance', { reconnect: RECONNECT });
  const rejoined = new MessageQueue('a join after the reconnect');
  client.hub.onreconnected(async () => {
    await client.invoke('Join', GROUP);
    rejoined.push(client.id);
  });
  await client.invoke('Join', GROUP);
  return { client, rejoined };
}

/**
 * Each member sends a message to the group and receives it; if the servers are connected, each
 * receives those of all.
 */
async function exchangeMessages(members) {
  const texts = members.map(({ client }) => `${client.id} ${(serial += 1)}`);
  await Promise.all(members.map(({ client }, index) => client.invoke('ToGroup', GROUP, texts[index])));
  await Promise.all(
    members.map(async ({ client }, index) => {
      const missing = new Set(ARE_CONNECTED ? texts : [texts[index]]);
      while (missing.size > 0) missing.delete(await client.messages.next());
    }),
  );
}

const GROUP = 'rolling';
let serial = 0;

test('the deployment guide has the configurations of these tests', async () => {
  const guide = await readFile(new URL('../src/guide/deployment.md', import.meta.url), 'utf8');
  for (const name of BALANCER_NAMES) assert.ok(guide.includes(await configuration(name)), name);
});
