// Stateful reconnect: a connection continues on a new WebSocket, invisibly to the application code
// on both sides.
import assert from 'node:assert/strict';
import { HubConnectionState } from '@microsoft/signalr';
import { ChaosProxy } from './support/chaos-proxy.mjs';
import { eachProtocol, eachTransport, overWebSockets } from './support/conformance.mjs';
import { RequestKind } from './support/http-proxy.mjs';

overWebSockets('a resumed connection keeps its id, its groups and its items', async (fixture) => {
  const { connect, tcpProxy, unique } = fixture;
  const proxy = await tcpProxy();
  const group = unique('group');
  const sender = await connect('/stateful');
  const client = await connect('/stateful', { via: proxy.url, stateful: true, reconnect: true });
  const { id } = client;
  let reconnects = 0;
  client.hub.onreconnecting(() => (reconnects += 1));
  await client.invoke('Join', group);
  await client.invoke('SetItem', 'k', 'v');
  for (const round of ['first', 'second', 'third']) {
    proxy.cut();
    await sender.invoke('ToGroup', group, round);
    assert.equal(await client.messages.next(), round);
    assert.equal(await client.invoke('ConnectionId'), id);
    assert.equal(await client.invoke('GetItem', 'k'), 'v');
  }
  assert.equal(client.hub.state, HubConnectionState.Connected);
  assert.equal(client.id, id);
  assert.equal(reconnects, 0);
});

overWebSockets('running and waiting invocations complete after a resume', async ({ connect, tcpProxy }) => {
  const proxy = await tcpProxy();
  const client = await connect('/stateful', { via: proxy.url, stateful: true });
  const running = client.invoke('Slow', 300, 7);
  const waiting = [1, 2, 3].map((n) => client.invoke('Echo', `waiting ${n}`));
  proxy.cut();
  assert.equal(await running, 7);
  assert.deepEqual(await Promise.all(waiting), ['waiting 1', 'waiting 2', 'waiting 3']);
});

overWebSockets('messages beyond the message buffer arrive as the client acknowledges others', async (fixture) => {
  const { connect } = fixture;
  const client = await connect('/stateful', { stateful: true });
  const notified = client.on('Notified');
  const count = 6000;
  const invocation = client.invoke('NotifyMany', count);
  for (let n = 0; n < count; n += 1) assert.deepEqual(await notified.next(), [n]);
  assert.equal(await invocation, null);
});

overWebSockets('a connection that the server aborts cannot be resumed', async ({ connect }) => {
  const client = await connect('/stateful', { stateful: true });
  await client.send('AbortMe');
  await client.closed();
  assert.equal(client.hub.state, HubConnectionState.Disconnected);
});

overWebSockets('messages sent during the reconnect window arrive after the resume', async (fixture) => {
  const { connect, httpProxy, unique } = fixture;
  const proxy = await httpProxy();
  const sender = await connect('/stateful');
  const client = await connect('/stateful', { via: proxy.url, stateful: true });
  const [id, group] = [client.id, unique('group')];
  await client.invoke('Join', group);
  let allow;
  const allowed = new Promise((resolve) => (allow = resolve));
  const socket = await proxy.waitForActive(RequestKind.webSocket);
  proxy.rule = ({ kind }) => (kind === RequestKind.webSocket ? allowed : undefined);
  socket.cut();
  await proxy.waitForRequests(RequestKind.webSocket, 2);

  await sender.invoke('ToClient', id, 'to the client');
  await sender.invoke('ToGroup', group, 'to the group');
  await client.send('ToCaller', 'from the client');
  const result = client.invoke('Echo', 'invoked without a socket');
  allow();
  const texts = [await client.messages.next(), await client.messages.next(), await client.messages.next()];
  assert.deepEqual(texts, ['to the client', 'to the group', 'from the client']);
  assert.equal(await result, 'invoked without a socket');
  assert.equal(client.id, id);
  assert.equal(proxy.count(RequestKind.negotiate), 1);
  assert.equal(client.reconnecting.size + client.reconnected.size, 0);
});

overWebSockets('a new WebSocket replaces one whose loss the server has not noticed', async ({ connect, tcpProxy }) => {
  const proxy = await tcpProxy(ChaosProxy);
  const client = await connect('/stateful', { via: proxy.url, stateful: true });
  const id = client.id;
  const cut = proxy.cutAfter({ bytes: 10, direction: 'up', reset: true, clientOnly: true });
  const result = client.invoke('ConnectionId');
  await cut;
  assert.equal(await result, id);
  assert.equal(client.id, id);
  assert.ok(proxy.webSockets >= 2);
});

overWebSockets('a client that cannot resume reconnects under a new id', async ({ connect, httpProxy }) => {
  const proxy = await httpProxy();
  const client = await connect('/stateful', { via: proxy.url, stateful: true, reconnect: [0, 20, 50] });
  const first = client.id;
  const socket = await proxy.waitForActive(RequestKind.webSocket);
  let remainingRejections = 1;
  proxy.rule = ({ kind }) =>
    kind === RequestKind.webSocket && (remainingRejections -= 1) >= 0 ? { status: 503 } : undefined;
  socket.cut();
  await client.reconnecting.next();
  const { id } = await client.reconnected.next();
  assert.notEqual(id, first);
  assert.equal(await client.invoke('ConnectionId'), id);

  // The new connection can be resumed as well.
  const next = await proxy.waitForActive(RequestKind.webSocket);
  next.cut();
  assert.equal(await client.invoke('ConnectionId'), id);
  assert.equal(client.id, id);
});

eachTransport('without WebSockets a client with stateful reconnect reconnects under a new id', async (fixture) => {
  const { connect, httpProxy, transport } = fixture;
  const proxy = await httpProxy();
  const client = await connect('/stateful', { via: proxy.url, stateful: true, reconnect: [0, 20, 50] });
  const first = client.id;
  (await proxy.waitForActive(transport)).cut();
  await client.reconnected.next();
  assert.notEqual(client.id, first);
  assert.equal(await client.invoke('ConnectionId'), client.id);
}, { transports: ['ServerSentEvents', 'LongPolling'] });

eachProtocol('a negotiate response reports that a hub does not support stateful reconnect', async (fixture) => {
  const { connect, httpProxy } = fixture;
  const proxy = await httpProxy();
  const client = await connect('/conformance', { via: proxy.url, stateful: true, reconnect: [0, 20, 50] });
  assert.match(proxy.requests[0].url, /[?&]useStatefulReconnect=true/);
  const first = client.id;
  (await proxy.waitForActive(RequestKind.webSocket)).cut();
  const { id } = await client.reconnected.next();
  assert.notEqual(id, first);
  assert.equal(proxy.count(RequestKind.negotiate), 2);
});
