// Connections that go on with another WebSocket when they lose theirs, which neither side's code notices.
import assert from 'node:assert/strict';
import { HubConnectionState } from '@microsoft/signalr';
import { overWebSockets } from './support/conformance.mjs';

overWebSockets('a cut connection goes on under its id, in its groups, with its items', async ({ connect, proxy, unique }) => {
  const between = await proxy();
  const group = unique('group');
  const sender = await connect('/stateful');
  const client = await connect('/stateful', { via: between.url, stateful: true, reconnect: true });
  const { id } = client;
  let reconnects = 0;
  client.hub.onreconnecting(() => (reconnects += 1));
  await client.invoke('Join', group);
  await client.invoke('SetItem', 'k', 'v');
  for (const round of ['first', 'second', 'third']) {
    between.cut();
    await sender.invoke('ToGroup', group, round);
    assert.equal(await client.messages.next(), round);
    assert.equal(await client.invoke('ConnectionId'), id);
    assert.equal(await client.invoke('GetItem', 'k'), 'v');
  }
  assert.equal(client.hub.state, HubConnectionState.Connected);
  assert.equal(client.id, id);
  assert.equal(reconnects, 0);
});

overWebSockets('a call that runs outlasts the cut, and so do those behind it', async ({ connect, proxy }) => {
  const between = await proxy();
  const client = await connect('/stateful', { via: between.url, stateful: true });
  const slow = client.invoke('Slow', 300, 7);
  const behind = [1, 2, 3].map((n) => client.invoke('Echo', `behind ${n}`));
  between.cut();
  assert.equal(await slow, 7);
  assert.deepEqual(await Promise.all(behind), ['behind 1', 'behind 2', 'behind 3']);
});

overWebSockets('nothing is lost, doubled or out of order through many cuts', async ({ connect, proxy }) => {
  const between = await proxy();
  const client = await connect('/stateful', { via: between.url, stateful: true });
  const notified = client.on('Notified');
  const calls = [];
  let next = 0;
  for (let round = 0; round < 10; round += 1) {
    for (const last = next + 30; next < last; next += 1) calls.push(client.invoke('NotifyThenReturn', `m${next}`));
    if (round % 2 === 0) await between.serverWrites(1);
    between.cut();
    await calls.at(-1);
  }
  const expected = Array.from({ length: next }, (_, n) => `m${n}`);
  assert.deepEqual(await Promise.all(calls), expected);
  for (const message of expected) assert.deepEqual(await notified.next(), [message]);
});

overWebSockets('messages beyond what is kept arrive as they are acknowledged', async ({ connect }) => {
  const client = await connect('/stateful', { stateful: true });
  const notified = client.on('Notified');
  const count = 6000;
  const call = client.invoke('NotifyMany', count);
  for (let n = 0; n < count; n += 1) assert.deepEqual(await notified.next(), [n]);
  assert.equal(await call, null);
});

overWebSockets('an abort by the server cannot be resumed', async ({ connect }) => {
  const client = await connect('/stateful', { stateful: true });
  await client.send('AbortMe');
  await client.closed();
  assert.equal(client.hub.state, HubConnectionState.Disconnected);
});
