// Connections that are cut, closed by the server or stopped, with and without automatic reconnect.
import assert from 'node:assert/strict';
import { HubConnectionState } from '@microsoft/signalr';
import { eachTransport } from './support/conformance.mjs';
import { CUT, RequestKind } from './support/http-proxy.mjs';
import { withTimeout } from './support/message-queue.mjs';
import { mint, nurse } from './support/tokens.mjs';

const SHORT_DELAYS = [0, 20, 50, 100, 200];

/**
 * The transports with keep-alive. With long polling neither side pings: each poll shows that the
 * client is alive.
 */
const WITH_KEEP_ALIVE = ['WebSockets', 'ServerSentEvents'];

/** The client's error when a connection is cut. An `EventSource` reports no cause. */
const CONNECTION_LOST = {
  WebSockets: 'WebSocket closed with status code: 1006 (no reason given).',
  ServerSentEvents: undefined,
  LongPolling: 'fetch failed',
};

eachTransport('a client whose connection is cut reconnects under a new id', async (fixture) => {
  const { connect, tcpProxy, transport } = fixture;
  const proxy = await tcpProxy();
  const client = await connect('/conformance', { via: proxy.url, reconnect: true });
  const first = client.id;
  proxy.cut();
  const reconnecting = await client.reconnecting.next();
  assert.equal(reconnecting.error?.message, CONNECTION_LOST[transport]);
  assert.equal(reconnecting.state, HubConnectionState.Reconnecting);
  const { id, state } = await client.reconnected.next();
  assert.equal(state, HubConnectionState.Connected);
  assert.notEqual(id, first);
  assert.equal(client.id, id);
  assert.equal(await client.invoke('ConnectionId'), id);
});

eachTransport('a client reconnects when only the socket of incoming messages is lost', async (fixture) => {
  const { connect, httpProxy, transport } = fixture;
  const proxy = await httpProxy();
  const client = await connect('/conformance', { via: proxy.url, reconnect: SHORT_DELAYS });
  const first = client.id;
  const exchange = await proxy.waitForActive(transport);
  exchange.cut();
  const { id } = await client.reconnected.next();
  assert.notEqual(id, first);
  assert.equal(await client.invoke('ConnectionId'), id);
  assert.equal(proxy.count(RequestKind.negotiate), 2);
});

eachTransport('an invocation whose request is cut fails without closing the connection', async (fixture) => {
  const { connect, httpProxy, unique } = fixture;
  const proxy = await httpProxy();
  const [marker, sender] = [unique('end'), await connect('/conformance')];
  const client = await connect('/conformance', { via: proxy.url });
  proxy.rule = ({ kind }) => (kind === RequestKind.send ? CUT : undefined);
  await assert.rejects(client.invoke('Echo', 'lost'), { message: 'fetch failed' });
  // Messages of the server still arrive.
  await sender.invoke('ToClient', client.id, marker);
  assert.deepEqual(await client.messages.takeUntil(marker), []);
  proxy.rule = () => undefined;
  assert.equal(await client.invoke('Echo', 'found'), 'found');
}, { transports: ['ServerSentEvents', 'LongPolling'] });

eachTransport('a client can rejoin its groups in onreconnected, several times', async (fixture) => {
  const { connect, tcpProxy, unique } = fixture;
  const proxy = await tcpProxy();
  const group = unique('group');
  const sender = await connect('/conformance');
  const client = await connect('/conformance', { via: proxy.url, reconnect: SHORT_DELAYS });
  await client.invoke('Join', group);
  client.hub.onreconnected(async () => {
    await client.invoke('Join', group);
    await client.invoke('ToCaller', 'joined again');
  });
  for (const round of ['first', 'second', 'third']) {
    proxy.cut();
    await client.reconnected.next();
    assert.equal(await client.messages.next(), 'joined again');
    await sender.invoke('ToGroup', group, round);
    assert.equal(await client.messages.next(), round);
  }
});

eachTransport('a reconnect with an expired token closes the connection', async ({ connect, tcpProxy }) => {
  const proxy = await tcpProxy();
  let lifetime = 3600;
  const token = () => mint(nurse, { expiresIn: lifetime });
  const client = await connect('/hubs/clinical', { token, via: proxy.url, reconnect: [0, 0] });
  lifetime = -3600;
  proxy.cut();
  await client.reconnecting.next();
  assert.deepEqual(await client.closed(), { error: undefined });
  assert.equal(client.hub.state, HubConnectionState.Disconnected);
});

eachTransport('reconnect attempts are repeated until one succeeds', async ({ connect, tcpProxy }) => {
  const proxy = await tcpProxy();
  const client = await connect('/conformance', { via: proxy.url, reconnect: SHORT_DELAYS });
  const rejected = withTimeout(proxy.waitForRejections(2), 'two rejected attempts');
  proxy.reject();
  proxy.cut();
  await client.reconnecting.next();
  await rejected;
  proxy.accept();
  const { id } = await client.reconnected.next();
  assert.equal(await client.invoke('ConnectionId'), id);
});

eachTransport('the connection closes when all reconnect attempts fail', async ({ connect, tcpProxy }) => {
  const proxy = await tcpProxy();
  const client = await connect('/conformance', { via: proxy.url, reconnect: [0, 0, 0] });
  proxy.reject();
  proxy.cut();
  await client.reconnecting.next();
  assert.deepEqual(await client.closed(), { error: undefined });
  assert.equal(client.hub.state, HubConnectionState.Disconnected);
  assert.ok(proxy.rejected >= 3);
  proxy.accept();
  await client.start();
  assert.equal(await client.invoke('Echo', 'restarted'), 'restarted');
});

eachTransport('stop() during a reconnect stops the attempts', async ({ connect, tcpProxy }) => {
  const proxy = await tcpProxy();
  const client = await connect('/conformance', { via: proxy.url, reconnect: [0, 3_600_000] });
  const rejected = withTimeout(proxy.waitForRejections(1), 'a rejected attempt');
  proxy.reject();
  proxy.cut();
  await client.reconnecting.next();
  await rejected;
  await client.hub.stop();
  await client.closed();
  assert.equal(client.hub.state, HubConnectionState.Disconnected);
});

eachTransport('pending invocations fail when the connection is cut', async ({ connect, tcpProxy }) => {
  const proxy = await tcpProxy();
  const client = await connect('/conformance', { via: proxy.url, reconnect: SHORT_DELAYS });
  const notified = client.on('Notified');
  const running = assert.rejects(client.invoke('Slow', 3_000, 1));
  // The second invocation waits for the first; it must not complete on the new connection either.
  const waiting = assert.rejects(client.invoke('NotifyThenReturn', 'from the old connection'));
  proxy.cut();
  await Promise.all([running, waiting]);
  await client.reconnected.next();
  await client.invoke('Notify', 'from the new connection');
  assert.deepEqual(await notified.next(), ['from the new connection']);
});

eachTransport('without automatic reconnect a cut connection closes with an error', async (fixture) => {
  const { connect, tcpProxy, transport } = fixture;
  const proxy = await tcpProxy();
  const watcher = await connect('/lifecycle');
  const went = watcher.on('Went');
  const client = await connect('/lifecycle', { via: proxy.url });
  const id = client.id;
  proxy.cut();
  const { error } = await client.closed();
  assert.equal(error?.message, CONNECTION_LOST[transport]);
  // The server waits for the next poll until its disconnect timeout.
  if (transport === 'LongPolling') return;
  while ((await went.next())[0] !== id);
});

eachTransport('a connection that the server aborts does not reconnect', async ({ connect }) => {
  const client = await connect('/conformance', { reconnect: SHORT_DELAYS });
  let attempts = 0;
  client.hub.onreconnecting(() => (attempts += 1));
  await assert.rejects(client.invoke('AbortMe'), {
    message: 'Invocation canceled due to the underlying connection being closed.',
  });
  assert.deepEqual(await client.closed(), { error: undefined });
  assert.equal(client.hub.state, HubConnectionState.Disconnected);
  assert.equal(attempts, 0);
});

eachTransport('a hub that fails in OnConnectedAsync closes the connection without a reconnect', async ({ client }) => {
  const errors = {
    '/throw-on-connect': 'Server returned an error on close: Connection closed with an error.',
    '/throw-hub-on-connect':
      'Server returned an error on close: Connection closed with an error. HubException: visible detail',
  };
  for (const [path, text] of Object.entries(errors)) {
    const rejected = client(path, { reconnect: SHORT_DELAYS });
    let attempts = 0;
    rejected.hub.onreconnecting(() => (attempts += 1));
    // `start()` fails if the Close message arrives in one chunk with the handshake response.
    const error = await rejected.start().then(
      async () => (await rejected.closed()).error,
      (failure) => failure,
    );
    assert.equal(error.message, text, path);
    assert.equal(attempts, 0, path);
  }
});

eachTransport('stop() closes without an error and without a reconnect', async ({ connect }) => {
  const client = await connect('/conformance', { reconnect: SHORT_DELAYS });
  let attempts = 0;
  client.hub.onreconnecting(() => (attempts += 1));
  await client.hub.stop();
  assert.deepEqual(await client.closed(), { error: undefined });
  assert.equal(client.hub.state, HubConnectionState.Disconnected);
  assert.equal(attempts, 0);
  await assert.rejects(client.invoke('Echo', 'x'), {
    message: "Cannot send data if the connection is not in the 'Connected' State.",
  });
});

eachTransport('a stopped connection can be started again', async ({ connect }) => {
  const client = await connect('/conformance');
  const first = client.id;
  await client.hub.stop();
  await client.start();
  assert.notEqual(client.id, first);
  assert.equal(await client.invoke('ConnectionId'), client.id);
});

eachTransport('the client reconnects after its server timeout', async ({ client, tcpProxy }) => {
  const proxy = await tcpProxy();
  const idle = client('/tight', { via: proxy.url, reconnect: SHORT_DELAYS });
  idle.hub.serverTimeoutInMilliseconds = 2_500;
  idle.hub.keepAliveIntervalInMilliseconds = 500;
  await idle.start();
  proxy.freeze();
  const { error } = await idle.reconnecting.next();
  assert.equal(error.message, 'Server timeout elapsed without receiving a message from the server.');
  await idle.reconnected.next();
  assert.equal(await idle.invoke('Echo', 'back'), 'back');
}, { transports: WITH_KEEP_ALIVE });

eachTransport('pings of both sides keep an idle connection open', async ({ client, tcpProxy }) => {
  const proxy = await tcpProxy();
  const idle = client('/tight', { via: proxy.url });
  idle.hub.serverTimeoutInMilliseconds = 2_500;
  idle.hub.keepAliveIntervalInMilliseconds = 500;
  await idle.start();
  // The hub pings every second and its client timeout is 2 s, so three pings take longer than
  // either timeout.
  await withTimeout(proxy.waitForServerWrites(3), 'three pings of the server');
  assert.equal(idle.hub.state, HubConnectionState.Connected);
  assert.equal(await idle.invoke('Echo', 'alive'), 'alive');
}, { transports: WITH_KEEP_ALIVE });

eachTransport('an idle poll ends with an empty response and the client polls again', async ({ connect, httpProxy }) => {
  const proxy = await httpProxy();
  const client = await connect('/no-websockets', { via: proxy.url, reconnect: SHORT_DELAYS });
  const id = client.id;
  await proxy.waitForRequests(RequestKind.poll, proxy.count(RequestKind.poll) + 2);
  assert.equal(client.id, id);
  assert.equal(await client.invoke('ConnectionId'), id);
}, { transports: ['LongPolling'] });
