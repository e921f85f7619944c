// Who receives a message: groups, users, single connections, everyone, everyone but some.
import assert from 'node:assert/strict';
import { everywhere } from './support/conformance.mjs';
import { mint } from './support/tokens.mjs';

/** Sends each client a marker of its own and returns what it had received before it. */
async function received(sender, clients, marker) {
  return Promise.all(
    clients.map(async (client) => {
      await sender.invoke('ToClient', client.id, marker);
      return client.messages.until(marker);
    }),
  );
}

const clients = (connect, count, path = '/conformance') =>
  Promise.all(Array.from({ length: count }, () => connect(path)));

everywhere('a group has the members who joined and not those who left', async ({ connect, unique }) => {
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

everywhere('joining twice delivers once, and leaving an unknown group is no error', async ({ connect, unique }) => {
  const [client] = await clients(connect, 1);
  const group = unique('group');
  await client.invoke('Leave', group);
  await client.invoke('Join', group);
  await client.invoke('Join', group);
  await client.invoke('ToGroup', group, 'once');
  await client.invoke('Leave', group);
  await client.invoke('ToGroup', group, 'never');
  await client.invoke('ToGroup', unique('nobody'), 'never');
  assert.deepEqual(await received(client, [client], unique('end')), [['once']]);
});

everywhere('group names differ by case', async ({ connect, unique }) => {
  const [client] = await clients(connect, 1);
  const group = unique('Ward');
  await client.invoke('Join', group);
  await client.invoke('ToGroup', group.toLowerCase(), 'never');
  await client.invoke('ToGroup', group, 'exact');
  assert.deepEqual(await received(client, [client], unique('end')), [['exact']]);
});

everywhere('another connection can be put into a group and taken out', async ({ connect, unique }) => {
  const [one, two] = await clients(connect, 2);
  const group = unique('group');
  await one.invoke('JoinOther', two.id, group);
  await one.invoke('ToGroup', group, 'in');
  await one.invoke('LeaveOther', two.id, group);
  await one.invoke('ToGroup', group, 'out');
  assert.deepEqual(await received(one, [one, two], unique('end')), [[], ['in']]);
});

everywhere('groups can be addressed together, without some, and without the sender', async ({ connect, unique }) => {
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

everywhere('a connection that stopped is in no group any more', async ({ connect, unique }) => {
  const [watcher, leaver] = await clients(connect, 2, '/lifecycle');
  const went = watcher.on('Went');
  const group = unique('group');
  const id = leaver.id;
  for (const client of [watcher, leaver]) await client.invoke('Join', group);
  await leaver.hub.stop();
  while ((await went.next())[0] !== id);
  await watcher.invoke('ToGroup', group, 'who is left');
  await watcher.invoke('ToClient', id, 'nobody');
  assert.deepEqual(await received(watcher, [watcher], unique('end')), [['who is left']]);
});

everywhere('a user has all connections of that user and no others', async ({ connect, unique }) => {
  const [ann, ben] = [unique('ann'), unique('ben')];
  const as = (sub) => connect('/hubs/clinical', { token: mint({ sub }) });
  const [phone, desk, other] = [await as(ann), await as(ann), await as(ben)];
  await other.invoke('ToUser', ann, 'to ann');
  await other.invoke('ToUsers', [ann, ben], 'to both');
  await phone.invoke('ToUser', unique('nobody'), 'never');
  assert.deepEqual(await received(other, [phone, desk, other], unique('end')), [
    ['to ann', 'to both'],
    ['to ann', 'to both'],
    ['to both'],
  ]);
});

everywhere('a user keeps the other connections when one of them stops', async ({ connect, unique }) => {
  const ann = unique('ann');
  const as = (sub) => connect('/hubs/clinical', { token: mint({ sub }) });
  const [phone, desk, other] = [await as(ann), await as(ann), await as(unique('ben'))];
  await phone.hub.stop();
  await other.invoke('ToUser', ann, 'to the desk');
  assert.deepEqual(await received(other, [desk], unique('end')), [['to the desk']]);
});

everywhere('the caller, the others and single clients are told apart', async ({ connect, unique }) => {
  const [one, two, three] = await clients(connect, 3);
  // Whoever shares the server sees what goes to everyone: names are told apart by the test's own.
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
}, { alone: true });

everywhere('a message from outside of the hub reaches all of that hub alone', async ({ connect, post, unique }) => {
  const [one, two] = await clients(connect, 2);
  const [elsewhere] = await clients(connect, 1, '/detailed');
  const text = unique('from outside');
  await post('/outside/all', text);
  await one.messages.until(text);
  await two.messages.until(text);
  const [others] = await received(elsewhere, [elsewhere], unique('end'));
  assert.ok(!others.includes(text));
}, { alone: true });

everywhere('those who stay hear of those who come and go', async ({ connect }) => {
  const watcher = await connect('/lifecycle');
  const [came, went] = [watcher.on('Came'), watcher.on('Went')];
  const guest = await connect('/lifecycle');
  const id = guest.id;
  while ((await came.next())[0] !== id);
  await guest.hub.stop();
  for (;;) {
    const [gone, error] = await went.next();
    if (gone !== id) continue;
    assert.equal(error, null);
    break;
  }
});
