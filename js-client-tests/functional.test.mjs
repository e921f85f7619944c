// The example `functional_host`, by the expectations of Microsoft's client suites: over HTTP and
// HTTPS, with every transport and both hub protocols.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { HttpTransportType, HubConnectionBuilder, JsonHubProtocol, LogLevel } from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';
import { withTimeout } from './support/message-queue.mjs';
import { exampleBinary, startServer } from './support/process.mjs';

// The host generates a self-signed certificate when it starts.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

let host;
before(async () => {
  host = await startServer(exampleBinary('functional_host'), ['http://127.0.0.1:0', 'https://127.0.0.1:0']);
});
after(() => host?.stop());

const PROTOCOLS = { json: JsonHubProtocol, messagepack: MessagePackHubProtocol };
const TRANSPORTS = ['WebSockets', 'ServerSentEvents', 'LongPolling'];

/**
 * Declares `name` once for each scheme, transport and hub protocol. `body` receives `connect` and
 * the combination.
 */
function eachCombination(name, body) {
  describe(name, { concurrency: 4 }, () => {
    for (const [at, scheme] of ['http', 'https'].entries()) {
      for (const transport of TRANSPORTS) {
        for (const protocol of Object.keys(PROTOCOLS)) {
          if (transport === 'ServerSentEvents' && protocol === 'messagepack') continue;
          test(`${scheme}, ${transport}, ${protocol}`, { timeout: 60_000 }, async () => {
            const started = [];
            const connect = async (path, options = {}) => {
              const connection = new HubConnectionBuilder()
                .withUrl(`${host.urls[at]}${path}`, { transport: HttpTransportType[transport], ...options })
                .withHubProtocol(new PROTOCOLS[protocol]())
                .configureLogging(LogLevel.None)
                .build();
              await connection.start();
              started.push(connection);
              return connection;
            };
            try {
              await body({ connect, transport, protocol, url: host.urls[at] });
            } finally {
              await Promise.all(started.map((connection) => connection.stop()));
            }
          });
        }
      }
    }
  });
}

/** Resolves with all items of a stream; rejects with its error. */
const items = (stream) =>
  withTimeout(
    new Promise((resolve, reject) => {
      const received = [];
      stream.subscribe({ next: (item) => received.push(item), complete: () => resolve(received), error: reject });
    }),
    'the end of a stream',
  );

eachCombination('a hub method returns values, errors and parts of its request', async ({ connect, transport }) => {
  const connection = await connect('/testhub?numRedirects=7', { headers: { 'X-Kind': 'test' } });
  for (const text of ['', '你好，世界！', 'x'.repeat(20_000)]) assert.equal(await connection.invoke('Echo', text), text);
  assert.equal(await connection.invoke('eCHO', 'any case'), 'any case');
  assert.equal(await connection.invoke('GetCallerConnectionId'), connection.connectionId);
  assert.equal(await connection.invoke('GetNumRedirects'), 7);
  assert.equal(await connection.invoke('GetActiveTransportName'), transport);
  assert.equal(await connection.invoke('GetHeader', 'x-kind'), 'test');
  assert.equal(await connection.invoke('GetHeader', 'x-none'), null);
  assert.equal(await connection.invoke('GetCookie', 'testCookie2'), 'testValue2');
  assert.equal(await connection.invoke('GetCookie', 'expiredCookie'), null);
  await assert.rejects(connection.invoke('ThrowException', 'An error occurred.'), {
    message: "An unexpected error occurred invoking 'ThrowException' on the server. InvalidOperationException: An error occurred.",
  });
});

eachCombination('messages of the hub arrive with the types of their hub protocol', async ({ connect, protocol }) => {
  const connection = await connect('/testhub');
  const message = new Promise((resolve) => connection.on('Message', resolve));
  assert.equal(await connection.invoke('InvokeWithString', '你好'), null);
  assert.equal(await withTimeout(message, 'Message'), '你好');
  const object = new Promise((resolve) => connection.on('CustomObject', resolve));
  await connection.invoke('SendCustomObject', { Name: 'test', Value: 42 });
  assert.deepEqual(await withTimeout(object, 'CustomObject'), { Name: 'test', Value: 42 });

  const expected = {
    String: 'hello world',
    IntArray: [1, 2, 3],
    ByteArray: protocol === 'json' ? 'AQID' : new Uint8Array([1, 2, 3]),
    Guid: '00010203-0405-0607-0706-050403020100',
    DateTime: protocol === 'json' ? '2000-01-01T00:00:00Z' : new Date(Date.UTC(2000, 0, 1)),
  };
  const sent = await connection.invoke('SendComplexObject');
  assert.deepEqual({ ...sent, ByteArray: plain(sent.ByteArray) }, { ...expected, ByteArray: plain(expected.ByteArray) });
  const echoed = await connection.invoke('EchoComplexObject', expected);
  assert.deepEqual({ ...echoed, ByteArray: plain(echoed.ByteArray) }, { ...expected, ByteArray: plain(expected.ByteArray) });
});

const plain = (bytes) => (typeof bytes === 'string' ? bytes : [...bytes]);

eachCombination('streams pass in both directions', async ({ connect }) => {
  const connection = await connect('/testhub');
  assert.deepEqual(await items(connection.stream('Stream')), ['a', 'b', 'c']);
  assert.deepEqual(await items(connection.stream('EmptyStream')), []);
  await assert.rejects(items(connection.stream('StreamThrowException', 'An error occurred.')), {
    message: "An unexpected error occurred invoking 'StreamThrowException' on the server. InvalidOperationException: An error occurred.",
  });
  await assert.rejects(items(connection.stream('Echo', 'x')), {
    message: "The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation.",
  });
  await assert.rejects(connection.invoke('Stream'), {
    message: "The client attempted to invoke the streaming 'Stream' method with a non-streaming invocation.",
  });

  const cancelled = new Promise((resolve) => connection.on('StreamCanceled', () => resolve(true)));
  connection.stream('InfiniteStream').subscribe({ next() {}, complete() {}, error() {} }).dispose();
  assert.ok(await withTimeout(cancelled, 'StreamCanceled'));

  const { Subject } = await import('@microsoft/signalr');
  const good = new Subject();
  const text = connection.invoke('StreamingConcat', good);
  for (const part of ['Hello ', 'world', '!']) good.next(part);
  good.complete();
  assert.equal(await text, 'Hello world!');
  const bad = new Subject();
  const failed = connection.invoke('StreamingConcat', bad);
  bad.error(new Error('Something bad'));
  await assert.rejects(failed, {
    message: "An unexpected error occurred invoking 'StreamingConcat' on the server. HubException: Something bad",
  });
});

eachCombination('a client result can be requested outside the hub', async ({ connect, url }) => {
  const connection = await connect('/testhub');
  const requestResult = async () => (await fetch(`${url}/clientresult/${connection.connectionId}`)).text();
  assert.equal(await requestResult(), "Client didn't provide a result.");
  connection.on('Result', () => 10);
  assert.equal(await requestResult(), '10');
  connection.off('Result');
  connection.on('Result', () => {
    throw new Error('from callback');
  });
  assert.equal(await requestResult(), 'Error: from callback');
  const unknown = await fetch(`${url}/clientresult/unknown`);
  assert.deepEqual([unknown.status, await unknown.text()], [200, "Connection 'unknown' does not exist."]);
});

eachCombination('a hub with authorization accepts clients with a token', async ({ connect, url }) => {
  await assert.rejects(connect('/authorizedhub'), {
    message: "Failed to complete negotiation with the server: Error: Unauthorized: Status code '401'",
  });
  const accessTokenFactory = async () => (await fetch(`${url}/generateJwtToken`)).text();
  const connection = await connect('/authorizedhub', { accessTokenFactory });
  assert.equal(await connection.invoke('Echo', 'in'), 'in');
});

eachCombination('a client follows redirects and receives errors of negotiate and the hub', async ({ connect, url }) => {
  const target = `/redirect?numRedirects=0&baseUrl=${encodeURIComponent(url)}`;
  const connection = await connect(target);
  assert.ok((await connection.invoke('GetNumRedirects')) > 0);
  await assert.rejects(connect('/bad-negotiate'), {
    message: "Failed to complete negotiation with the server: Error: Some response from server: Status code '400'",
  });
  // The connection may close before `start()` resolves.
  const connectAndFail = async () => {
    const connection = await connect('/uncreatable');
    throw await withTimeout(new Promise((resolve) => connection.onclose(resolve)), 'the close of the connection');
  };
  await assert.rejects(connectAndFail, {
    message:
      'Server returned an error on close: Connection closed with an error. ' +
      'InvalidOperationException: Unable to resolve a service of the hub.',
  });
});

test('a hub without WebSockets lists the other transports', async () => {
  const negotiated = await fetch(`${host.url}/testhub-nowebsockets/negotiate?negotiateVersion=1`, { method: 'POST' });
  const { availableTransports } = await negotiated.json();
  assert.deepEqual(availableTransports.map(({ transport }) => transport), ['ServerSentEvents', 'LongPolling']);
});

test('cookies of a negotiate response are marked for cross-site use over TLS', async () => {
  for (const url of host.urls) {
    const negotiated = await fetch(`${url}/testhub/negotiate?negotiateVersion=1`, { method: 'POST' });
    const cookies = negotiated.headers.getSetCookie();
    assert.deepEqual(cookies.map((cookie) => cookie.split('=')[0]), ['testCookie', 'testCookie2', 'expiredCookie']);
    assert.match(cookies[2], /expires=Thu, 01 Jan 1970 00:00:00 GMT/);
    for (const cookie of cookies) assert.equal(/secure; samesite=none; partitioned/.test(cookie), url.startsWith('https'));
  }
});

test('a preflight from any origin is accepted', async () => {
  const preflight = await fetch(`${host.url}/testhub/negotiate`, {
    method: 'OPTIONS',
    headers: { origin: 'http://localhost:9999', 'access-control-request-headers': 'x-signalr-user-agent' },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), 'http://localhost:9999');
  assert.equal(preflight.headers.get('access-control-allow-credentials'), 'true');
});

test('a redirected connection handler echoes bytes over long polling', async () => {
  const base = `${host.url}/echoredirect`;
  const { connectionToken } = await (await fetch(`${base}/negotiate?negotiateVersion=1`, { method: 'POST' })).json();
  const poll = () => fetch(`${base}?id=${connectionToken}`);
  assert.equal((await poll()).status, 200);
  const text = randomBytes(100).toString('hex');
  assert.equal((await fetch(`${base}?id=${connectionToken}`, { method: 'POST', body: text })).status, 200);
  assert.equal(await (await poll()).text(), text);
  assert.equal((await fetch(`${base}?id=${connectionToken}`, { method: 'DELETE' })).status, 202);
});
