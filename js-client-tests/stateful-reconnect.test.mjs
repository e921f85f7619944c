// Connections that go on with another WebSocket when they lose theirs, which neither side's code notices.
import assert from 'node:assert/strict';
import { HubConnectionState } from '@microsoft/signalr';
import { ChaosProxy } from './support/chaos-proxy.mjs';
import { everywhere, inEachFormat, overWebSockets } from './support/conformance.mjs';
import { Kind } from './support/http-proxy.mjs';

overWebSockets('a cut connection goes on under its id, in its groups, with its items', async (world) => {
  const { connect, proxy, unique } = world;
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

overWebSockets('messages of the time without a socket arrive when it is back', async ({ connect, front, unique }) => {
  const between = await front();
  const sender = await connect('/stateful');
  const client = await connect('/stateful', { via: between.url, stateful: true });
  const [id, group] = [client.id, unique('group')];
  await client.invoke('Join', group);
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  const socket = await between.underWay(Kind.webSocket);
  between.rule = ({ kind }) => (kind === Kind.webSocket ? opened : undefined);
  socket.cut();
  await between.arrived(Kind.webSocket, 2);

  await sender.invoke('ToClient', id, 'to it');
  await sender.invoke('ToGroup', group, 'to its group');
  await client.send('ToCaller', 'from it');
  const answer = client.invoke('Echo', 'asked without a socket');
  open();
  const texts = [await client.messages.next(), await client.messages.next(), await client.messages.next()];
  assert.deepEqual(texts, ['to it', 'to its group', 'from it']);
  assert.equal(await answer, 'asked without a socket');
  assert.equal(client.id, id);
  assert.equal(between.count(Kind.negotiate), 1);
  assert.equal(client.reconnecting.size + client.reconnected.size, 0);
});

overWebSockets('a socket that the server still believes in gives way to the next', async ({ connect, proxy }) => {
  const between = await proxy(ChaosProxy);
  const client = await connect('/stateful', { via: between.url, stateful: true });
  const id = client.id;
  const cut = between.cutAfter({ bytes: 10, direction: 'up', reset: true, unnoticed: true });
  const answer = client.invoke('ConnectionId');
  await cut;
  assert.equal(await answer, id);
  assert.equal(client.id, id);
  assert.ok(between.sockets >= 2);
});

overWebSockets('a connection that could not be resumed is made anew', async ({ connect, front }) => {
  const between = await front();
  const client = await connect('/stateful', { via: between.url, stateful: true, reconnect: [0, 20, 50] });
  const first = client.id;
  const socket = await between.underWay(Kind.webSocket);
  let refusals = 1;
  between.rule = ({ kind }) => (kind === Kind.webSocket && (refusals -= 1) >= 0 ? { status: 503 } : undefined);
  socket.cut();
  await client.reconnecting.next();
  const { id } = await client.reconnected.next();
  assert.notEqual(id, first);
  assert.equal(await client.invoke('ConnectionId'), id);

  // The connection made anew can be resumed as the first could.
  const next = await between.underWay(Kind.webSocket);
  next.cut();
  assert.equal(await client.invoke('ConnectionId'), id);
  assert.equal(client.id, id);
});

everywhere('over events and polls a client that asks to resume reconnects', async ({ connect, front, transport }) => {
  const between = await front();
  const client = await connect('/stateful', { via: between.url, stateful: true, reconnect: [0, 20, 50] });
  const first = client.id;
  (await between.underWay(transport)).cut();
  await client.reconnected.next();
  assert.notEqual(client.id, first);
  assert.equal(await client.invoke('ConnectionId'), client.id);
}, { transports: ['ServerSentEvents', 'LongPolling'] });

inEachFormat('a hub that does not resume says so', async ({ connect, front }) => {
  const between = await front();
  const client = await connect('/conformance', { via: between.url, stateful: true, reconnect: [0, 20, 50] });
  assert.match(between.requests[0].url, /[?&]useStatefulReconnect=true/);
  const first = client.id;
  (await between.underWay(Kind.webSocket)).cut();
  const { id } = await client.reconnected.next();
  assert.notEqual(id, first);
  assert.equal(between.count(Kind.negotiate), 2);
});
