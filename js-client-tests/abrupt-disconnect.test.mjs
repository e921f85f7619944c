// What is left of clients that vanish in the middle of everything: nothing. The server itself counts.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Subject } from '@microsoft/signalr';
import { within } from './support/message-queue.mjs';
import { pairs } from './support/matrix.mjs';
import { conformanceServer } from './support/process.mjs';
import { World } from './support/fixture.mjs';

/** Of each kind. */
const COUNT = 20;

/** The next poll of a client may always come, so the server waits for it a while. */
const VANISHED_MS = 40_000;

const NOTHING = { connections: 0, hubConnections: 0, groups: 0, questions: 0, tasks: 0, queuedBytes: 0 };

let server;
before(async () => {
  server = await conformanceServer();
});
after(() => server?.stop());

const times = (make) => Array.from({ length: COUNT }, (_, n) => make(n));

/** Fails unless the server comes to hold `expected`. */
async function comesTo(expected, world) {
  let stats;
  const same = () => Object.entries(expected).every(([name, value]) => stats[name] === value);
  const reached = async () => {
    do stats = await world.stats();
    while (!same());
  };
  await within(reached(), 'the server to forget', VANISHED_MS).catch(() => assert.deepEqual(stats, expected));
}

for (const { transport, protocol } of pairs()) {
  test(`nothing is left of clients that vanish: ${transport}, ${protocol}`, { timeout: 120_000 }, async (context) => {
    const world = new World(server.url, transport, protocol);
    try {
      if (!(await world.stats())) return context.skip('this server does not count');
      await comesTo(NOTHING, world);
      await vanish(world);
    } finally {
      await world.end();
    }
    await comesTo(NOTHING, world);
  });
}

async function vanish(world) {
  const { connect, proxy } = world;
  const between = await proxy();
  const asker = await connect('/conformance');
  assert.equal(await asker.invoke('Echo', 'alone'), 'alone');
  const alone = await world.stats();
  assert.equal(alone.hubConnections, 1);
  const client = await connect('/conformance', { via: between.url });
  const { id } = client;
  const asked = client.on('Answer');
  client.hub.on('Answer', () => new Promise(() => {}));
  await client.invoke('Join', world.unique('group'));

  const streams = times(() => client.stream('Forever'));
  const uploads = times(() => new Subject());
  const lost = uploads.map((upload) => assert.rejects(client.hub.invoke('Concat', upload)));
  const words = times(() => new Subject());
  const shouts = words.map((subject) => client.stream('Shout', subject));
  const others = times((n) => asker.hub.invoke('AskClient', id, `${n}`));
  const own = times((n) => assert.rejects(client.hub.invoke('AskCaller', `${n}`)));

  for (const subject of [...uploads, ...words]) subject.next('word');
  for (const stream of streams) assert.equal(await stream.next(), 0);
  for (const shout of shouts) assert.equal(await shout.next(), 'WORD');
  for (let n = 0; n < 2 * COUNT; n += 1) await asked.next();
  // What the client has sent is on the server now, and it has no request under way that the cut would fail.
  assert.equal(await client.invoke('Echo', 'sent'), 'sent');
  const stats = await world.stats();
  assert.equal(stats.hubConnections, 2);
  assert.equal(stats.questions, 2 * COUNT);
  assert.equal(stats.groups, 1);
  // A task for each connection and each thing that is open.
  assert.ok(stats.tasks >= 2 + 5 * COUNT, `${stats.tasks} tasks`);

  between.cut();
  await client.closed();
  await Promise.all([...lost, ...own]);
  for (const stream of [...streams, ...shouts]) assert.ok((await stream.end()).error);
  const waited = within(Promise.all(others), 'the questions to fail', VANISHED_MS);
  for (const answer of await waited) assert.equal(answer, `IOException: Connection '${id}' disconnected.`);
  await comesTo(alone, world);
}
