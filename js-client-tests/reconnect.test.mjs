// Connections that break, are closed by the server, or are stopped, and what automatic reconnect makes of it.
import assert from 'node:assert/strict';
import { HubConnectionState } from '@microsoft/signalr';
import { everywhere } from './support/conformance.mjs';
import { CUT, Kind } from './support/http-proxy.mjs';
import { within } from './support/message-queue.mjs';
import { mint, nurse } from './support/tokens.mjs';

const SOON = [0, 20, 50, 100, 200];

/** Polls say by themselves that a client is there, so over them neither side pings. */
const PINGED = ['WebSockets', 'ServerSentEvents'];

/** What the client says of a connection that was cut. An event source does not learn why it ended. */
const LOST = {
  WebSockets: 'WebSocket closed with status code: 1006 (no reason given).',
  ServerSentEvents: undefined,
  LongPolling: 'fetch failed',
};

everywhere('a cut connection comes back under a new id', async ({ connect, proxy, transport }) => {
  const between = await proxy();
  const client = await connect('/conformance', { via: between.url, reconnect: true });
  const first = client.id;
  between.cut();
  const lost = await client.reconnecting.next();
  assert.equal(lost.error?.message, LOST[transport]);
  assert.equal(lost.state, HubConnectionState.Reconnecting);
  const { id, state } = await client.reconnected.next();
  assert.equal(state, HubConnectionState.Connected);
  assert.notEqual(id, first);
  assert.equal(client.id, id);
  assert.equal(await client.invoke('ConnectionId'), id);
});

everywhere('the loss of the one socket that messages come on is enough', async ({ connect, front, transport }) => {
  const between = await front();
  const client = await connect('/conformance', { via: between.url, reconnect: SOON });
  const first = client.id;
  const carrier = await between.underWay(transport);
  carrier.cut();
  const { id } = await client.reconnected.next();
  assert.notEqual(id, first);
  assert.equal(await client.invoke('ConnectionId'), id);
  assert.equal(between.count(Kind.negotiate), 2);
});

everywhere('a call that was lost on its way fails alone', async ({ connect, front, unique }) => {
  const between = await front();
  const [marker, sender] = [unique('end'), await connect('/conformance')];
  const client = await connect('/conformance', { via: between.url });
  between.rule = ({ kind }) => (kind === Kind.send ? CUT : undefined);
  await assert.rejects(client.invoke('Echo', 'lost'), { message: 'fetch failed' });
  // A failed call is no failed connection: what the server sends still arrives.
  await sender.invoke('ToClient', client.id, marker);
  assert.deepEqual(await client.messages.until(marker), []);
  between.rule = () => undefined;
  assert.equal(await client.invoke('Echo', 'found'), 'found');
}, { transports: ['ServerSentEvents', 'LongPolling'] });

everywhere('groups joined in onreconnected work as before, again and again', async ({ connect, proxy, unique }) => {
  const between = await proxy();
  const group = unique('group');
  const sender = await connect('/conformance');
  const client = await connect('/conformance', { via: between.url, reconnect: SOON });
  await client.invoke('Join', group);
  client.hub.onreconnected(async () => {
    await client.invoke('Join', group);
    await client.invoke('ToCaller', 'joined again');
  });
  for (const round of ['first', 'second', 'third']) {
    between.cut();
    await client.reconnected.next();
    assert.equal(await client.messages.next(), 'joined again');
    await sender.invoke('ToGroup', group, round);
    assert.equal(await client.messages.next(), round);
  }
});

everywhere('a reconnect with a token that no longer holds ends the connection', async ({ connect, proxy }) => {
  const between = await proxy();
  let lifetime = 3600;
  const token = () => mint(nurse, { expiresIn: lifetime });
  const client = await connect('/hubs/clinical', { token, via: between.url, reconnect: [0, 0] });
  lifetime = -3600;
  between.cut();
  await client.reconnecting.next();
  assert.deepEqual(await client.closed(), { error: undefined });
  assert.equal(client.hub.state, HubConnectionState.Disconnected);
});

everywhere('failed attempts are repeated until one succeeds', async ({ connect, proxy }) => {
  const between = await proxy();
  const client = await connect('/conformance', { via: between.url, reconnect: SOON });
  const refused = within(between.refusals(2), 'two refused attempts');
  between.refuse();
  between.cut();
  await client.reconnecting.next();
  await refused;
  between.accept();
  const { id } = await client.reconnected.next();
  assert.equal(await client.invoke('ConnectionId'), id);
});

everywhere('when every attempt failed the connection is closed', async ({ connect, proxy }) => {
  const between = await proxy();
  const client = await connect('/conformance', { via: between.url, reconnect: [0, 0, 0] });
  between.refuse();
  between.cut();
  await client.reconnecting.next();
  assert.deepEqual(await client.closed(), { error: undefined });
  assert.equal(client.hub.state, HubConnectionState.Disconnected);
  assert.ok(between.refused >= 3);
  between.accept();
  await client.start();
  assert.equal(await client.invoke('Echo', 'started by hand'), 'started by hand');
});

everywhere('stop() during a reconnect ends the attempts', async ({ connect, proxy }) => {
  const between = await proxy();
  const client = await connect('/conformance', { via: between.url, reconnect: [0, 3_600_000] });
  const refused = within(between.refusals(1), 'a refused attempt');
  between.refuse();
  between.cut();
  await client.reconnecting.next();
  await refused;
  await client.hub.stop();
  await client.closed();
  assert.equal(client.hub.state, HubConnectionState.Disconnected);
});

everywhere('calls under way fail with the cut', async ({ connect, proxy }) => {
  const between = await proxy();
  const client = await connect('/conformance', { via: between.url, reconnect: SOON });
  const notified = client.on('Notified');
  const call = client.invoke('Slow', 3_000, 1);
  const failed = assert.rejects(call);
  // The second call waits for the first: it must not be answered on the new connection either.
  const waiting = assert.rejects(client.invoke('NotifyThenReturn', 'from the old connection'));
  between.cut();
  await Promise.all([failed, waiting]);
  await client.reconnected.next();
  await client.invoke('Notify', 'from the new connection');
  assert.deepEqual(await notified.next(), ['from the new connection']);
});

everywhere('without automatic reconnect a cut closes with its error', async ({ connect, proxy, transport }) => {
  const between = await proxy();
  const watcher = await connect('/lifecycle');
  const went = watcher.on('Went');
  const client = await connect('/lifecycle', { via: between.url });
  const id = client.id;
  between.cut();
  const { error } = await client.closed();
  assert.equal(error?.message, LOST[transport]);
  // The next poll of a client may always come, so the server waits for it a while.
  if (transport === 'LongPolling') return;
  while ((await went.next())[0] !== id);
});

everywhere('a connection the server aborts does not come back', async ({ connect }) => {
  const client = await connect('/conformance', { reconnect: SOON });
  let attempts = 0;
  client.hub.onreconnecting(() => (attempts += 1));
  await assert.rejects(client.invoke('AbortMe'), {
    message: 'Invocation canceled due to the underlying connection being closed.',
  });
  assert.deepEqual(await client.closed(), { error: undefined });
  assert.equal(client.hub.state, HubConnectionState.Disconnected);
  assert.equal(attempts, 0);
});

everywhere('a hub that fails as it is connected to closes, and the client stays away', async ({ client }) => {
  const refusals = {
    '/throw-on-connect': 'Server returned an error on close: Connection closed with an error.',
    '/throw-hub-on-connect':
      'Server returned an error on close: Connection closed with an error. HubException: visible detail',
  };
  for (const [path, text] of Object.entries(refusals)) {
    const refused = client(path, { reconnect: SOON });
    let attempts = 0;
    refused.hub.onreconnecting(() => (attempts += 1));
    // The close comes right behind the handshake's answer: start() sees it when both come in one piece.
    const error = await refused.start().then(
      async () => (await refused.closed()).error,
      (failure) => failure,
    );
    assert.equal(error.message, text, path);
    assert.equal(attempts, 0, path);
  }
});

everywhere('stop() closes without an error and without a reconnect', async ({ connect }) => {
  const client = await connect('/conformance', { reconnect: SOON });
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

everywhere('a stopped connection can be started again', async ({ connect }) => {
  const client = await connect('/conformance');
  const first = client.id;
  await client.hub.stop();
  await client.start();
  assert.notEqual(client.id, first);
  assert.equal(await client.invoke('ConnectionId'), client.id);
});

everywhere('a silent connection is given up and made anew', async ({ client, proxy }) => {
  const between = await proxy();
  const idle = client('/tight', { via: between.url, reconnect: SOON });
  idle.hub.serverTimeoutInMilliseconds = 2_500;
  idle.hub.keepAliveIntervalInMilliseconds = 500;
  await idle.start();
  between.freeze();
  const { error } = await idle.reconnecting.next();
  assert.equal(error.message, 'Server timeout elapsed without receiving a message from the server.');
  await idle.reconnected.next();
  assert.equal(await idle.invoke('Echo', 'back'), 'back');
}, { transports: PINGED });

everywhere('pings of both sides keep an idle connection', async ({ client, proxy }) => {
  const between = await proxy();
  const idle = client('/tight', { via: between.url });
  idle.hub.serverTimeoutInMilliseconds = 2_500;
  idle.hub.keepAliveIntervalInMilliseconds = 500;
  await idle.start();
  // The hub pings every second and gives a client up after two: past three pings either side would have.
  await within(between.serverWrites(3), 'three pings of the server');
  assert.equal(idle.hub.state, HubConnectionState.Connected);
  assert.equal(await idle.invoke('Echo', 'alive'), 'alive');
}, { transports: PINGED });

everywhere('an idle poll is answered empty and made anew', async ({ connect, front }) => {
  const between = await front();
  const client = await connect('/no-websockets', { via: between.url, reconnect: SOON });
  const id = client.id;
  await between.arrived(Kind.poll, between.count(Kind.poll) + 2);
  assert.equal(client.id, id);
  assert.equal(await client.invoke('ConnectionId'), id);
}, { transports: ['LongPolling'] });
