// The functional host, by what Microsoft's own client suites ask of it: over http and https, every transport, both formats.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { HttpTransportType, HubConnectionBuilder, JsonHubProtocol, LogLevel } from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';
import { within } from './support/message-queue.mjs';
import { exampleBinary, startServer } from './support/process.mjs';

// Its certificate is of this run alone, and signed by nobody.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

let host;
before(async () => {
  host = await startServer(exampleBinary('functional_host'), ['http://127.0.0.1:0', 'https://127.0.0.1:0']);
});
after(() => host?.stop());

const FORMATS = { json: JsonHubProtocol, messagepack: MessagePackHubProtocol };
const TRANSPORTS = ['WebSockets', 'ServerSentEvents', 'LongPolling'];

/** Declares `name` for each scheme, transport and format; `body` gets a way to make clients, and what they are. */
function everywhere(name, body) {
  describe(name, { concurrency: 4 }, () => {
    for (const [at, scheme] of ['http', 'https'].entries()) {
      for (const transport of TRANSPORTS) {
        for (const format of Object.keys(FORMATS)) {
          if (transport === 'ServerSentEvents' && format === 'messagepack') continue;
          test(`${scheme}, ${transport}, ${format}`, { timeout: 60_000 }, async () => {
            const started = [];
            const connect = async (path, options = {}) => {
              const connection = new HubConnectionBuilder()
                .withUrl(`${host.urls[at]}${path}`, { transport: HttpTransportType[transport], ...options })
                .withHubProtocol(new FORMATS[format]())
                .configureLogging(LogLevel.None)
                .build();
              await connection.start();
              started.push(connection);
              return connection;
            };
            try {
              await body({ connect, transport, format, url: host.urls[at] });
            } finally {
              await Promise.all(started.map((connection) => connection.stop()));
            }
          });
        }
      }
    }
  });
}

/** Everything a stream brings, or its error. */
const items = (stream) =>
  within(
    new Promise((resolve, reject) => {
      const got = [];
      stream.subscribe({ next: (item) => got.push(item), complete: () => resolve(got), error: reject });
    }),
    'the end of a stream',
  );

everywhere('values, errors and the request of the connection', async ({ connect, transport }) => {
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

everywhere('what the hub sends comes as it was sent', async ({ connect, format }) => {
  const connection = await connect('/testhub');
  const message = new Promise((resolve) => connection.on('Message', resolve));
  assert.equal(await connection.invoke('InvokeWithString', '你好'), null);
  assert.equal(await within(message, 'Message'), '你好');
  const object = new Promise((resolve) => connection.on('CustomObject', resolve));
  await connection.invoke('SendCustomObject', { Name: 'test', Value: 42 });
  assert.deepEqual(await within(object, 'CustomObject'), { Name: 'test', Value: 42 });

  const expected = {
    String: 'hello world',
    IntArray: [1, 2, 3],
    ByteArray: format === 'json' ? 'AQID' : new Uint8Array([1, 2, 3]),
    Guid: '00010203-0405-0607-0706-050403020100',
    DateTime: format === 'json' ? '2000-01-01T00:00:00Z' : new Date(Date.UTC(2000, 0, 1)),
  };
  const sent = await connection.invoke('SendComplexObject');
  assert.deepEqual({ ...sent, ByteArray: plain(sent.ByteArray) }, { ...expected, ByteArray: plain(expected.ByteArray) });
  const echoed = await connection.invoke('EchoComplexObject', expected);
  assert.deepEqual({ ...echoed, ByteArray: plain(echoed.ByteArray) }, { ...expected, ByteArray: plain(expected.ByteArray) });
});

const plain = (bytes) => (typeof bytes === 'string' ? bytes : [...bytes]);

everywhere('streams in both directions', async ({ connect }) => {
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
  assert.ok(await within(cancelled, 'StreamCanceled'));

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

everywhere('a client is asked from outside of its hub', async ({ connect, url }) => {
  const connection = await connect('/testhub');
  const probe = async () => (await fetch(`${url}/clientresult/${connection.connectionId}`)).text();
  assert.equal(await probe(), "Client didn't provide a result.");
  connection.on('Result', () => 10);
  assert.equal(await probe(), '10');
  connection.off('Result');
  connection.on('Result', () => {
    throw new Error('from callback');
  });
  assert.equal(await probe(), 'Error: from callback');
  const nobody = await fetch(`${url}/clientresult/nobody`);
  assert.deepEqual([nobody.status, await nobody.text()], [200, "Connection 'nobody' does not exist."]);
});

everywhere('who has a token may come in', async ({ connect, url }) => {
  await assert.rejects(connect('/authorizedhub'), {
    message: "Failed to complete negotiation with the server: Error: Unauthorized: Status code '401'",
  });
  const accessTokenFactory = async () => (await fetch(`${url}/generateJwtToken`)).text();
  const connection = await connect('/authorizedhub', { accessTokenFactory });
  assert.equal(await connection.invoke('Echo', 'in'), 'in');
});

everywhere('redirects, refusals and a hub that cannot be made', async ({ connect, url }) => {
  const target = `/redirect?numRedirects=0&baseUrl=${encodeURIComponent(url)}`;
  const connection = await connect(target);
  assert.ok((await connection.invoke('GetNumRedirects')) > 0);
  await assert.rejects(connect('/bad-negotiate'), {
    message: "Failed to complete negotiation with the server: Error: Some response from server: Status code '400'",
  });
  // Its end may come before the client has started.
  const doomed = async () => {
    const early = await connect('/uncreatable');
    throw await within(new Promise((resolve) => early.onclose(resolve)), 'its end');
  };
  await assert.rejects(doomed, {
    message:
      'Server returned an error on close: Connection closed with an error. ' +
      'InvalidOperationException: Unable to resolve a service of the hub.',
  });
});

test('the hub without WebSockets offers the other two', async () => {
  const negotiated = await fetch(`${host.url}/testhub-nowebsockets/negotiate?negotiateVersion=1`, { method: 'POST' });
  const { availableTransports } = await negotiated.json();
  assert.deepEqual(availableTransports.map(({ transport }) => transport), ['ServerSentEvents', 'LongPolling']);
});

test('cookies expire, and over TLS they are for any site', async () => {
  for (const url of host.urls) {
    const negotiated = await fetch(`${url}/testhub/negotiate?negotiateVersion=1`, { method: 'POST' });
    const cookies = negotiated.headers.getSetCookie();
    assert.deepEqual(cookies.map((cookie) => cookie.split('=')[0]), ['testCookie', 'testCookie2', 'expiredCookie']);
    assert.match(cookies[2], /expires=Thu, 01 Jan 1970 00:00:00 GMT/);
    for (const cookie of cookies) assert.equal(/secure; samesite=none; partitioned/.test(cookie), url.startsWith('https'));
  }
});

test('preflights are answered for every origin', async () => {
  const preflight = await fetch(`${host.url}/testhub/negotiate`, {
    method: 'OPTIONS',
    headers: { origin: 'http://localhost:9999', 'access-control-request-headers': 'x-signalr-user-agent' },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), 'http://localhost:9999');
  assert.equal(preflight.headers.get('access-control-allow-credentials'), 'true');
});

test('bytes come back over a redirected connection without a hub', async () => {
  const base = `${host.url}/echoredirect`;
  const { connectionToken } = await (await fetch(`${base}/negotiate?negotiateVersion=1`, { method: 'POST' })).json();
  const poll = () => fetch(`${base}?id=${connectionToken}`);
  assert.equal((await poll()).status, 200);
  const text = randomBytes(100).toString('hex');
  assert.equal((await fetch(`${base}?id=${connectionToken}`, { method: 'POST', body: text })).status, 200);
  assert.equal(await (await poll()).text(), text);
  assert.equal((await fetch(`${base}?id=${connectionToken}`, { method: 'DELETE' })).status, 202);
});
