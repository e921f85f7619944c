// Recipients of a message: groups, users, single connections, all connections, and all but some.
import assert from 'node:assert/strict';
import { eachTransport } from './support/conformance.mjs';
import { mint } from './support/tokens.mjs';

/**
 * Sends a marker to each client and returns the messages that each client received before the
 * marker.
 */
async function received(sender, clients, marker) {
  return Promise.all(
    clients.map(async (client) => {
      await sender.invoke('ToClient', client.id, marker);
      return client.messages.takeUntil(marker);
    }),
  );
}

const clients = (connect, count, path = '/conformance') =>
  Promise.all(Array.from({ length: count }, () => connect(path)));

eachTransport('a message to a group reaches its members until they leave', async ({ connect, unique }) => {
  const [inside, outside, leaver] = await clients(connect, 3);
  const group = unique('group');
  await inside.invoke('Join', group);
  await leaver.invoke('Join', group);
  await outside.invoke('ToGroup', group, 'to both');
  await leaver.invoke('Leave', group);
  await outside.invoke('ToGroup', group, 'to one');
  assert.deepEqual(await received(outside, [inside, outside, leaver], unique('end')), [
    ['to both', 'to one'],
    [],
    ['to both'],
  ]);
});

eachTransport('a client that joins a group twice receives each message once', async (fixture) => {
  const { connect, unique } = fixture;
  const [client] = await clients(connect, 1);
  const group = unique('group');
  await client.invoke('Leave', group);
  await client.invoke('Join', group);
  await client.invoke('Join', group);
  await client.invoke('ToGroup', group, 'once');
  await client.invoke('Leave', group);
  await client.invoke('ToGroup', group, 'never');
  await client.invoke('ToGroup', unique('empty'), 'never');
  assert.deepEqual(await received(client, [client], unique('end')), [['once']]);
});

eachTransport('group names are case-sensitive', async ({ connect, unique }) => {
  const [client] = await clients(connect, 1);
  const group = unique('Ward');
  await client.invoke('Join', group);
  await client.invoke('ToGroup', group.toLowerCase(), 'never');
  await client.invoke('ToGroup', group, 'exact');
  assert.deepEqual(await received(client, [client], unique('end')), [['exact']]);
});

eachTransport('a hub method can add another connection to a group and remove it', async ({ connect, unique }) => {
  const [one, two] = await clients(connect, 2);
  const group = unique('group');
  await one.invoke('JoinOther', two.id, group);
  await one.invoke('ToGroup', group, 'in');
  await one.invoke('LeaveOther', two.id, group);
  await one.invoke('ToGroup', group, 'out');
  assert.deepEqual(await received(one, [one, two], unique('end')), [[], ['in']]);
});

eachTransport('a message can go to several groups, or to a group without some of its members', async (fixture) => {
  const { connect, unique } = fixture;
  const [one, two, three] = await clients(connect, 3);
  const [first, second] = [unique('first'), unique('second')];
  for (const client of [one, two]) await client.invoke('Join', first);
  await three.invoke('Join', second);
  await one.invoke('ToGroups', [first, second], 'both groups');
  await one.invoke('ToGroupExcept', first, [two.id], 'not two');
  await one.invoke('ToOthersInGroup', first, 'not one');
  assert.deepEqual(await received(one, [one, two, three], unique('end')), [
    ['both groups', 'not two'],
    ['both groups', 'not one'],
    ['both groups'],
  ]);
});

eachTransport('a stopped connection is removed from its groups', async ({ connect, unique }) => {
  const [watcher, leaver] = await clients(connect, 2, '/lifecycle');
  const went = watcher.on('Went');
  const group = unique('group');
  const id = leaver.id;
  for (const client of [watcher, leaver]) await client.invoke('Join', group);
  await leaver.hub.stop();
  while ((await went.next())[0] !== id);
  await watcher.invoke('ToGroup', group, 'remaining');
  await watcher.invoke('ToClient', id, 'never');
  assert.deepEqual(await received(watcher, [watcher], unique('end')), [['remaining']]);
});

eachTransport('a message to a user reaches all connections of that user and no others', async ({ connect, unique }) => {
  const [ann, ben] = [unique('ann'), unique('ben')];
  const as = (sub) => connect('/hubs/clinical', { token: mint({ sub }) });
  const [phone, desk, other] = [await as(ann), await as(ann), await as(ben)];
  await other.invoke('ToUser', ann, 'to ann');
  await other.invoke('ToUsers', [ann, ben], 'to both');
  await phone.invoke('ToUser', unique('unknown'), 'never');
  assert.deepEqual(await received(other, [phone, desk, other], unique('end')), [
    ['to ann', 'to both'],
    ['to ann', 'to both'],
    ['to both'],
  ]);
});

eachTransport('a message to a user reaches the remaining connections after one stops', async ({ connect, unique }) => {
  const ann = unique('ann');
  const as = (sub) => connect('/hubs/clinical', { token: mint({ sub }) });
  const [phone, desk, other] = [await as(ann), await as(ann), await as(unique('ben'))];
  await phone.hub.stop();
  await other.invoke('ToUser', ann, 'to the desk');
  assert.deepEqual(await received(other, [desk], unique('end')), [['to the desk']]);
});

eachTransport('messages reach the caller, the others or the given connections only', async ({ connect, unique }) => {
  const [one, two, three] = await clients(connect, 3);
  // Other tests on a shared server receive messages to all connections as well; the name identifies
  // this test's.
  const name = unique('message');
  const mine = (texts) => texts.filter((text) => text.startsWith(name)).map((text) => text.slice(name.length + 1));
  await one.invoke('ToCaller', `${name} caller`);
  await one.invoke('ToOthers', `${name} others`);
  await one.invoke('ToAll', `${name} all`);
  await one.invoke('ToAllExcept', [one.id, two.id], `${name} but two`);
  await one.invoke('ToClient', two.id, `${name} two`);
  await one.invoke('ToClients', [two.id, three.id, 'no such connection'], `${name} pair`);
  const [first, second, third] = (await received(one, [one, two, three], unique('end'))).map(mine);
  assert.deepEqual(first, ['caller', 'all']);
  assert.deepEqual(second, ['others', 'all', 'two', 'pair']);
  assert.deepEqual(third, ['others', 'all', 'but two', 'pair']);
}, { exclusive: true });

eachTransport('a message from outside a hub reaches all connections of that hub and no others', async (fixture) => {
  const { connect, post, unique } = fixture;
  const [one, two] = await clients(connect, 2);
  const [elsewhere] = await clients(connect, 1, '/detailed');
  const text = unique('from outside');
  await post('/outside/all', text);
  await one.messages.takeUntil(text);
  await two.messages.takeUntil(text);
  const [others] = await received(elsewhere, [elsewhere], unique('end'));
  assert.ok(!others.includes(text));
}, { exclusive: true });

eachTransport('a hub notifies the other connections when a client connects and disconnects', async ({ connect }) => {
  const watcher = await connect('/lifecycle');
  const [connected, disconnected] = [watcher.on('Came'), watcher.on('Went')];
  const guest = await connect('/lifecycle');
  const id = guest.id;
  while ((await connected.next())[0] !== id);
  await guest.hub.stop();
  for (;;) {
    const [disconnectedId, error] = await disconnected.next();
    if (disconnectedId !== id) continue;
    assert.equal(error, null);
    break;
  }
});
