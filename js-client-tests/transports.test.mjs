// Selection of the transport, and fallback where a network blocks some transports.
import assert from 'node:assert/strict';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';
import { eachProtocol, eachTransport } from './support/conformance.mjs';
import { CUT, RequestKind } from './support/http-proxy.mjs';
import { withTimeout } from './support/message-queue.mjs';
import { mint, nurse } from './support/tokens.mjs';

/**
 * Returns a proxy rule that answers requests with `responses[kind]` and forwards all other
 * requests.
 */
const blocking = (responses) => (request) => responses[request.kind];

const FORBIDDEN = { status: 403 };
const NOT_FOUND = { status: 404, body: 'nothing here' };

/**
 * Returns the transport of a client without WebSockets. Server-Sent Events carry no binary
 * protocol.
 */
const fallbackTransport = (protocol) => (protocol === 'json' ? 'ServerSentEvents' : 'LongPolling');

/**
 * Checks that messages pass in both directions, and that client and server agree on the transport.
 */
async function checkTransport(client, transport, marker) {
  assert.equal(await client.invoke('Transport'), transport);
  assert.equal(await client.invoke('ConnectionId'), client.id);
  await client.send('ToCaller', marker);
  assert.equal(await client.messages.next(), marker);
}

eachProtocol('a client without a fixed transport uses WebSockets', async ({ connect, httpProxy, unique }) => {
  const proxy = await httpProxy();
  const client = await connect('/conformance', { via: proxy.url });
  await checkTransport(client, 'WebSockets', unique('message'));
  assert.deepEqual(proxy.kinds, [RequestKind.negotiate, RequestKind.webSocket]);
});

for (const [failure, response] of Object.entries({ rejected: FORBIDDEN, cut: CUT })) {
  eachProtocol(`the client falls back when WebSockets are ${failure}`, async (fixture) => {
    const { connect, httpProxy, protocol, unique } = fixture;
    const proxy = await httpProxy(blocking({ [RequestKind.webSocket]: response }));
    const client = await connect('/conformance', { via: proxy.url });
    const transport = fallbackTransport(protocol);
    await checkTransport(client, transport, unique('message'));
    // Each attempt negotiates a new connection.
    const { negotiate, webSocket } = RequestKind;
    assert.deepEqual(proxy.kinds.slice(0, 4), [negotiate, webSocket, negotiate, transport]);
  });
}

for (const [failure, response] of Object.entries({ 'not found': NOT_FOUND, cut: CUT })) {
  eachProtocol(`the client falls back to long polling when event streams are ${failure}`, async (fixture) => {
    const { connect, httpProxy, protocol, unique } = fixture;
    const proxy = await httpProxy(blocking({ [RequestKind.webSocket]: FORBIDDEN, [RequestKind.events]: response }));
    const client = await connect('/conformance', { via: proxy.url });
    await checkTransport(client, 'LongPolling', unique('message'));
    assert.equal(proxy.count(RequestKind.negotiate), protocol === 'json' ? 3 : 2);
  });
}

eachProtocol('the client falls back to long polling when a proxy delays event streams until a 504', async (fixture) => {
  let timeOut;
  const timedOut = new Promise((resolve) => (timeOut = () => resolve({ status: 504 })));
  const proxy = await fixture.httpProxy(blocking({ [RequestKind.webSocket]: CUT, [RequestKind.events]: timedOut }));
  const client = fixture.client('/conformance', { via: proxy.url });
  const started = client.start();
  if (fixture.protocol === 'json') await proxy.waitForRequests(RequestKind.events);
  assert.equal(client.id, null);
  timeOut();
  await started;
  await checkTransport(client, 'LongPolling', fixture.unique('message'));
});

eachProtocol('a client without a working transport reports the error of each', async (fixture) => {
  const { client, httpProxy, protocol } = fixture;
  const proxy = await httpProxy(
    blocking({ [RequestKind.webSocket]: FORBIDDEN, [RequestKind.events]: NOT_FOUND, [RequestKind.poll]: NOT_FOUND }),
  );
  await assert.rejects(client('/conformance', { via: proxy.url }).start(), (error) => {
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

eachProtocol('a client can reconnect with another transport', async (fixture) => {
  const { connect, httpProxy, protocol, unique } = fixture;
  const proxy = await httpProxy();
  const client = await connect('/conformance', { via: proxy.url, reconnect: [0, 20, 50] });
  const first = client.id;
  const socket = await proxy.waitForActive(RequestKind.webSocket);
  proxy.rule = blocking({ [RequestKind.webSocket]: FORBIDDEN });
  socket.cut();
  const { id } = await client.reconnected.next();
  assert.notEqual(id, first);
  await checkTransport(client, fallbackTransport(protocol), unique('message'));

  proxy.rule = () => undefined;
  const stream = await proxy.waitForActive(fallbackTransport(protocol));
  stream.cut();
  await client.reconnected.next();
  await checkTransport(client, 'WebSockets', unique('message'));
});

eachProtocol('a client that falls back sends its token with every transport', async ({ connect, httpProxy }) => {
  const proxy = await httpProxy(blocking({ [RequestKind.webSocket]: FORBIDDEN, [RequestKind.events]: CUT }));
  let calls = 0;
  const token = () => mint({ ...nurse, serial: `token ${(calls += 1)}` });
  const client = await connect('/hubs/clinical', { via: proxy.url, token });
  assert.equal(await client.invoke('Transport'), 'LongPolling');
  assert.equal(await client.invoke('UserIdentifier'), 'nurse-1');
  assert.deepEqual(await client.invoke('Claims', 'serial'), [`token ${calls}`]);
});

eachTransport('a hub accepts only the transports that it enables', async ({ client, connect, transport }) => {
  const disabled = { message: /^Unable to connect to the server with any of the available transports\./ };
  const hubs = ['/websockets-only', '/no-websockets'];
  const [supporting, rejecting] = transport === 'WebSockets' ? hubs : hubs.toReversed();
  const connected = await connect(supporting);
  assert.equal(await connected.invoke('Transport'), transport);
  await assert.rejects(client(rejecting).start(), disabled);
});

eachTransport('the client rejects a binary protocol with Server-Sent Events', async ({ client }) => {
  await assert.rejects(client('/conformance', { protocol: new MessagePackHubProtocol() }).start(), (error) => {
    assert.match(error.message, /ServerSentEvents failed: Error: 'ServerSentEvents' does not support Binary\./);
    return true;
  });
}, { transports: ['ServerSentEvents'] });

eachTransport('the server rejects a binary protocol with Server-Sent Events', async ({ url }) => {
  // The client never sends such a request, so the test sends it itself.
  const hub = `${url}/conformance`;
  const negotiated = await fetch(`${hub}/negotiate?negotiateVersion=1`, { method: 'POST' });
  const { connectionToken, availableTransports } = await negotiated.json();
  const serverSentEvents = availableTransports.find(({ transport }) => transport === 'ServerSentEvents');
  assert.deepEqual(serverSentEvents.transferFormats, ['Text']);

  const events = await fetch(`${hub}?id=${connectionToken}`, { headers: { accept: 'text/event-stream' } });
  const handshake = '{"protocol":"messagepack","version":1}\x1e';
  assert.equal((await fetch(`${hub}?id=${connectionToken}`, { method: 'POST', body: handshake })).status, 200);
  const response = /^data: (.*)\x1e\r\n/m.exec(await withTimeout(events.text(), 'the end of the events'))[1];
  assert.deepEqual(JSON.parse(response), {
    error:
      "Cannot use the 'messagepack' protocol on the current transport. " +
      "The transport does not support 'Binary' transfer format.",
  });
}, { transports: ['ServerSentEvents'] });

eachTransport('stop() closes the connection on the server', async ({ connect, httpProxy, transport }) => {
  const proxy = await httpProxy();
  const watcher = await connect('/lifecycle');
  const disconnected = watcher.on('Went');
  const client = await connect('/lifecycle', { via: proxy.url });
  const id = client.id;
  await withTimeout(client.hub.stop(), 'stop()');
  while ((await disconnected.next())[0] !== id);
  assert.equal(proxy.count(RequestKind.delete), transport === 'LongPolling' ? 1 : 0);
});

eachTransport('large messages arrive complete in both directions', async ({ connect, httpProxy, protocol }) => {
  const proxy = await httpProxy();
  const client = await connect('/conformance', { via: proxy.url });
  // Line breaks have to be split into several `data:` lines in an event stream.
  const text = 'two\nlines\r\nand\rmore '.repeat(1_000);
  assert.equal(await client.invoke('Echo', text), text);
  if (protocol === 'messagepack') {
    const bytes = Uint8Array.from({ length: 20_000 }, (_, index) => index % 256);
    assert.deepEqual(await client.invoke('EchoBytes', bytes), bytes);
  }
});
