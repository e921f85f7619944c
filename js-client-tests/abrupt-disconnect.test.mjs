// Abrupt disconnects: the server keeps nothing of a client whose connection is cut, as its own
// counts show.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Subject } from '@microsoft/signalr';
import { withTimeout } from './support/message-queue.mjs';
import { combinations } from './support/matrix.mjs';
import { conformanceServer } from './support/process.mjs';
import { Fixture } from './support/fixture.mjs';

/** Number of streams, uploads and client results of each kind. */
const COUNT = 20;

/**
 * Includes the disconnect timeout of long polling, for which the server waits for the next poll.
 */
const CLEANUP_TIMEOUT_MS = 40_000;

const NOTHING = { connections: 0, hubConnections: 0, groups: 0, questions: 0, tasks: 0, queuedBytes: 0 };

let server;
before(async () => {
  server = await conformanceServer();
});
after(() => server?.stop());

const times = (make) => Array.from({ length: COUNT }, (_, n) => make(n));

/** Waits until the server's counts equal `expected`. */
async function waitForStats(expected, fixture) {
  let stats;
  const matches = () => Object.entries(expected).every(([name, value]) => stats[name] === value);
  const reached = async () => {
    do stats = await fixture.stats();
    while (!matches());
  };
  const showDifference = () => assert.deepEqual(stats, expected);
  await withTimeout(reached(), 'the server to release the connection', CLEANUP_TIMEOUT_MS).catch(showDifference);
}

for (const { transport, protocol } of combinations()) {
  const name = `the server releases the state of a disconnected client: ${transport}, ${protocol}`;
  test(name, { timeout: 120_000 }, async (context) => {
    const fixture = new Fixture(server.url, transport, protocol);
    try {
      if (!(await fixture.stats())) return context.skip('this server has no counts');
      await waitForStats(NOTHING, fixture);
      await disconnectBusyClient(fixture);
    } finally {
      await fixture.end();
    }
    await waitForStats(NOTHING, fixture);
  });
}

async function disconnectBusyClient(fixture) {
  const { connect, tcpProxy } = fixture;
  const proxy = await tcpProxy();
  const invoker = await connect('/conformance');
  assert.equal(await invoker.invoke('Echo', 'alone'), 'alone');
  const withoutClient = await fixture.stats();
  assert.equal(withoutClient.hubConnections, 1);
  const client = await connect('/conformance', { via: proxy.url });
  const { id } = client;
  const invocations = client.on('Answer');
  client.hub.on('Answer', () => new Promise(() => {}));
  await client.invoke('Join', fixture.unique('group'));

  const streams = times(() => client.stream('Forever'));
  const uploads = times(() => new Subject());
  const uploadFailures = uploads.map((upload) => assert.rejects(client.hub.invoke('Concat', upload)));
  const words = times(() => new Subject());
  const shouts = words.map((subject) => client.stream('Shout', subject));
  const othersResults = times((n) => invoker.hub.invoke('AskClient', id, `${n}`));
  const ownFailures = times((n) => assert.rejects(client.hub.invoke('AskCaller', `${n}`)));

  for (const subject of [...uploads, ...words]) subject.next('word');
  for (const stream of streams) assert.equal(await stream.next(), 0);
  for (const shout of shouts) assert.equal(await shout.next(), 'WORD');
  for (let n = 0; n < 2 * COUNT; n += 1) await invocations.next();
  // The server has received everything that the client sent, and no request is pending that the cut
  // would fail.
  assert.equal(await client.invoke('Echo', 'sent'), 'sent');
  const stats = await fixture.stats();
  assert.equal(stats.hubConnections, 2);
  assert.equal(stats.questions, 2 * COUNT);
  assert.equal(stats.groups, 1);
  // One task for each connection, stream, upload and client result.
  assert.ok(stats.tasks >= 2 + 5 * COUNT, `${stats.tasks} tasks`);

  proxy.cut();
  await client.closed();
  await Promise.all([...uploadFailures, ...ownFailures]);
  for (const stream of [...streams, ...shouts]) assert.ok((await stream.end()).error);
  const results = withTimeout(Promise.all(othersResults), 'the client results to fail', CLEANUP_TIMEOUT_MS);
  for (const result of await results) assert.equal(result, `IOException: Connection '${id}' disconnected.`);
  await waitForStats(withoutClient, fixture);
}
