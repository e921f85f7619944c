// Which transport a client takes, and what it falls back to where a network lets only some of them through.
import assert from 'node:assert/strict';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';
import { everywhere, inEachFormat } from './support/conformance.mjs';
import { CUT, Kind } from './support/http-proxy.mjs';
import { within } from './support/message-queue.mjs';
import { mint, nurse } from './support/tokens.mjs';

/** A proxy's rule by which requests of the kinds in `answers` get those, and all others pass. */
const blocking = (answers) => (request) => answers[request.kind];

const FORBIDDEN = { status: 403 };
const NOT_FOUND = { status: 404, body: 'nothing here' };

/** What a client takes that cannot use WebSockets. Event streams carry no binary format. */
const secondChoice = (protocol) => (protocol === 'json' ? 'ServerSentEvents' : 'LongPolling');

/** Checks that calls work both ways, and that client and server agree on what `transport` they use. */
async function works(client, transport, marker) {
  assert.equal(await client.invoke('Transport'), transport);
  assert.equal(await client.invoke('ConnectionId'), client.id);
  await client.send('ToCaller', marker);
  assert.equal(await client.messages.next(), marker);
}

inEachFormat('a client that may choose takes a WebSocket', async ({ connect, front, unique }) => {
  const between = await front();
  const client = await connect('/conformance', { via: between.url });
  await works(client, 'WebSockets', unique('message'));
  assert.deepEqual(between.kinds, [Kind.negotiate, Kind.webSocket]);
});

for (const [what, answer] of Object.entries({ refused: FORBIDDEN, cut: CUT })) {
  inEachFormat(`where WebSockets are ${what}, the client falls back`, async ({ connect, front, protocol, unique }) => {
    const between = await front(blocking({ [Kind.webSocket]: answer }));
    const client = await connect('/conformance', { via: between.url });
    const transport = secondChoice(protocol);
    await works(client, transport, unique('message'));
    // Each attempt has a connection of its own.
    assert.deepEqual(between.kinds.slice(0, 4), [Kind.negotiate, Kind.webSocket, Kind.negotiate, transport]);
  });
}

for (const [what, answer] of Object.entries({ 'not found': NOT_FOUND, cut: CUT })) {
  inEachFormat(`where event streams are ${what}, too, the client polls`, async (world) => {
    const { connect, front, protocol, unique } = world;
    const between = await front(blocking({ [Kind.webSocket]: FORBIDDEN, [Kind.events]: answer }));
    const client = await connect('/conformance', { via: between.url });
    await works(client, 'LongPolling', unique('message'));
    assert.equal(between.count(Kind.negotiate), protocol === 'json' ? 3 : 2);
  });
}

inEachFormat('where a proxy keeps event streams back until it gives up, the client polls', async (world) => {
  let giveUp;
  const given = new Promise((resolve) => (giveUp = () => resolve({ status: 504 })));
  const between = await world.front(blocking({ [Kind.webSocket]: CUT, [Kind.events]: given }));
  const client = world.client('/conformance', { via: between.url });
  const started = client.start();
  if (world.protocol === 'json') await between.arrived(Kind.events);
  assert.equal(client.id, null);
  giveUp();
  await started;
  await works(client, 'LongPolling', world.unique('message'));
});

inEachFormat('a client that nothing is left for says what failed', async ({ client, front, protocol }) => {
  const between = await front(
    blocking({ [Kind.webSocket]: FORBIDDEN, [Kind.events]: NOT_FOUND, [Kind.poll]: NOT_FOUND }),
  );
  await assert.rejects(client('/conformance', { via: between.url }).start(), (error) => {
    assert.match(error.message, /^Unable to connect to the server with any of the available transports\./);
    assert.match(error.message, /Error: WebSockets failed: Error: WebSocket failed to connect\./);
    const events =
      protocol === 'json'
        ? /ServerSentEvents failed: Error: EventSource failed to connect\./
        : /ServerSentEvents failed: Error: 'ServerSentEvents' does not support Binary\./;
    assert.match(error.message, events);
    assert.match(error.message, /Error: LongPolling failed: Error: nothing here: Status code '404'/);
    return true;
  });
});

inEachFormat('a client that reconnects may come back over another transport', async (world) => {
  const { connect, front, protocol, unique } = world;
  const between = await front();
  const client = await connect('/conformance', { via: between.url, reconnect: [0, 20, 50] });
  const first = client.id;
  const socket = await between.underWay(Kind.webSocket);
  between.rule = blocking({ [Kind.webSocket]: FORBIDDEN });
  socket.cut();
  const { id } = await client.reconnected.next();
  assert.notEqual(id, first);
  await works(client, secondChoice(protocol), unique('message'));

  between.rule = () => undefined;
  const stream = await between.underWay(secondChoice(protocol));
  stream.cut();
  await client.reconnected.next();
  await works(client, 'WebSockets', unique('message'));
});

inEachFormat('a client that falls back proves who it is on every transport', async ({ connect, front }) => {
  const between = await front(blocking({ [Kind.webSocket]: FORBIDDEN, [Kind.events]: CUT }));
  let calls = 0;
  const token = () => mint({ ...nurse, serial: `token ${(calls += 1)}` });
  const client = await connect('/hubs/clinical', { via: between.url, token });
  assert.equal(await client.invoke('Transport'), 'LongPolling');
  assert.equal(await client.invoke('UserIdentifier'), 'nurse-1');
  assert.deepEqual(await client.invoke('Claims', 'serial'), [`token ${calls}`]);
});

everywhere('a hub takes the transports it has and no others', async ({ client, connect, transport }) => {
  const disabled = { message: /^Unable to connect to the server with any of the available transports\./ };
  const hubs = ['/websockets-only', '/no-websockets'];
  const [admitting, refusing] = transport === 'WebSockets' ? hubs : hubs.toReversed();
  const admitted = await connect(admitting);
  assert.equal(await admitted.invoke('Transport'), transport);
  await assert.rejects(client(refusing).start(), disabled);
});

everywhere('the client refuses a binary format over events', async ({ client }) => {
  await assert.rejects(client('/conformance', { protocol: new MessagePackHubProtocol() }).start(), (error) => {
    assert.match(error.message, /ServerSentEvents failed: Error: 'ServerSentEvents' does not support Binary\./);
    return true;
  });
}, { transports: ['ServerSentEvents'] });

everywhere('the server refuses a binary format over events', async ({ url }) => {
  // The client would never ask for it.
  const hub = `${url}/conformance`;
  const negotiated = await fetch(`${hub}/negotiate?negotiateVersion=1`, { method: 'POST' });
  const { connectionToken, availableTransports } = await negotiated.json();
  const offer = availableTransports.find(({ transport }) => transport === 'ServerSentEvents');
  assert.deepEqual(offer.transferFormats, ['Text']);

  const events = await fetch(`${hub}?id=${connectionToken}`, { headers: { accept: 'text/event-stream' } });
  const handshake = '{"protocol":"messagepack","version":1}\x1e';
  assert.equal((await fetch(`${hub}?id=${connectionToken}`, { method: 'POST', body: handshake })).status, 200);
  const answer = /^data: (.*)\x1e\r\n/m.exec(await within(events.text(), 'the end of the events'))[1];
  assert.deepEqual(JSON.parse(answer), {
    error:
      "Cannot use the 'messagepack' protocol on the current transport. " +
      "The transport does not support 'Binary' transfer format.",
  });
}, { transports: ['ServerSentEvents'] });

everywhere('stop() ends the connection at the server', async ({ connect, front, transport }) => {
  const between = await front();
  const watcher = await connect('/lifecycle');
  const went = watcher.on('Went');
  const client = await connect('/lifecycle', { via: between.url });
  const id = client.id;
  await within(client.hub.stop(), 'stop()');
  while ((await went.next())[0] !== id);
  assert.equal(between.count(Kind.end), transport === 'LongPolling' ? 1 : 0);
});

everywhere('large messages pass both ways whole', async ({ connect, front, protocol }) => {
  const between = await front();
  const client = await connect('/conformance', { via: between.url });
  // Line ends would break an event that is written carelessly.
  const text = 'two\nlines\r\nand\rmore '.repeat(1_000);
  assert.equal(await client.invoke('Echo', text), text);
  if (protocol === 'messagepack') {
    const bytes = Uint8Array.from({ length: 20_000 }, (_, index) => index % 256);
    assert.deepEqual(await client.invoke('EchoBytes', bytes), bytes);
  }
});
