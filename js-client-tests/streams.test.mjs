// Server streams: items, errors, cancellation, disconnects and limits.
import assert from 'node:assert/strict';
import { Subject } from '@microsoft/signalr';
import { eachTransport, overWebSockets } from './support/conformance.mjs';

/**
 * Waits until a stream of connection `id` is dropped; `stopped` are the notifications that another
 * client receives.
 */
async function waitForStop(stopped, id) {
  while ((await stopped.next())[0] !== id);
}

/** Reconnect delays. */
const SHORT_DELAYS = [0, 20, 50, 100];

const CONNECTION_CLOSED = 'Invocation canceled due to the underlying connection being closed.';

const upTo = (count) => Array.from({ length: count }, (_, n) => n);

eachTransport('a stream sends its items in order and completes', async ({ connect }) => {
  const client = await connect('/conformance');
  assert.deepEqual(await client.stream('Counter', 5, 1).all(), [0, 1, 2, 3, 4]);
  assert.deepEqual(await client.stream('CounterChannel', 3).all(), [0, 1, 2]);
  assert.deepEqual(await client.stream('CounterChannelLater', 2).all(), ['#0', '#1']);
  assert.deepEqual(await client.stream('counter', 1, 0).all(), [0]);
});

eachTransport('a stream can complete without items', async ({ connect }) => {
  const client = await connect('/conformance');
  for (const [method, ...args] of [['Counter', 0, 0], ['Counter', -5, 0], ['CounterChannel', 0]]) {
    assert.deepEqual(await client.stream(method, ...args).all(), []);
  }
});

eachTransport('ten thousand items arrive complete and in order', async ({ connect }) => {
  const client = await connect('/conformance');
  assert.deepEqual(await client.stream('CounterChannel', 10_000).all(), upTo(10_000));
});

eachTransport('concurrent streams stay separate', async ({ connect }) => {
  const client = await connect('/conformance');
  const streams = upTo(20).map((n) => client.stream('Counter', n * 10, 0));
  for (const [n, stream] of streams.entries()) assert.deepEqual(await stream.all(), upTo(n * 10));
});

eachTransport('open streams do not block invocations', async ({ connect }) => {
  const client = await connect('/conformance');
  const [first, second] = [client.stream('Forever'), client.stream('Forever')];
  assert.equal(await first.next(), 0);
  assert.equal(await client.invoke('Echo', 'meanwhile'), 'meanwhile');
  assert.equal(await second.next(), 0);
  const third = client.stream('CounterChannel', 3);
  assert.deepEqual(await third.all(), [0, 1, 2]);
  for (const stream of [first, second]) for (const n of [1, 2, 3]) assert.equal(await stream.next(), n);
});

eachTransport('errors of streams reach the client without details', async ({ connect }) => {
  const client = await connect('/conformance');
  const fails = async ([method, ...args], items, message) => {
    const stream = client.stream(method, ...args);
    assert.equal((await stream.end()).error?.message, message);
    assert.deepEqual(stream.items, items);
  };
  const STREAMING = 'An error occurred on the server while streaming results.';
  await fails(['CounterThenThrow', 2], [0, 1], STREAMING);
  await fails(['CounterThenThrow', 0], [], STREAMING);
  await fails(['CounterThenThrowHub', 1], [0], `${STREAMING} HubException: visible detail`);
  await fails(
    ['StreamThrowsAtOnce'],
    [],
    "An unexpected error occurred invoking 'StreamThrowsAtOnce' on the server. HubException: no stream today",
  );
  await fails(
    ['NullStream'],
    [],
    "The value returned by the streaming method 'NullStream' is not a ChannelReader<> or IAsyncEnumerable<>.",
  );
  await fails(
    ['Nope'],
    [],
    "Failed to invoke 'Nope' due to an error on the server. HubException: Method does not exist.",
  );
  await fails(['Counter', 'x', 1], [], "Failed to invoke 'Counter' due to an error on the server.");
  await fails(
    ['Echo', 'x'],
    [],
    "The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation.",
  );
  await assert.rejects(client.invoke('Counter', 3, 0), {
    message: "The client attempted to invoke the streaming 'Counter' method with a non-streaming invocation.",
  });
  assert.deepEqual(await client.stream('Counter', 1, 0).all(), [0]);
});

eachTransport('errors of streams reach the client with detailed errors enabled', async ({ connect }) => {
  const client = await connect('/detailed');
  const stream = client.stream('CounterThenThrow', 1);
  await assert.rejects(stream.all(), {
    message: 'An error occurred on the server while streaming results. InvalidOperationException: secret detail',
  });
  assert.deepEqual(stream.items, [0]);
  await assert.rejects(client.stream('Counter').all(), {
    message:
      "Failed to invoke 'Counter' due to an error on the server. " +
      'InvalidDataException: Invocation provides 0 argument(s) but target expects 2.',
  });
});

eachTransport('a cancelled stream stops on the server and other streams continue', async ({ connect }) => {
  const watcher = await connect('/conformance');
  const stopped = watcher.on('StreamStopped');
  const client = await connect('/conformance');
  const [cancelled, kept] = [client.stream('Forever'), client.stream('Forever')];
  for (const stream of [cancelled, kept]) assert.equal(await stream.next(), 0);
  cancelled.cancel();
  await waitForStop(stopped, client.id);
  const { length } = cancelled.items;
  // The client discards items that arrive after the cancellation.
  for (const n of [1, 2, 3]) assert.equal(await kept.next(), n);
  assert.equal(cancelled.items.length, length);
  kept.cancel();
  await waitForStop(stopped, client.id);
  assert.deepEqual(await client.stream('Counter', 2, 0).all(), [0, 1]);
});

eachTransport('a stream can be cancelled before its first item', async ({ connect }) => {
  const client = await connect('/conformance');
  for (let round = 0; round < 20; round += 1) {
    const stream = client.stream('Counter', 5, 5_000);
    stream.cancel();
    assert.equal(await client.invoke('Add', round, 1), round + 1);
    assert.deepEqual(stream.items, []);
  }
  assert.deepEqual(await client.stream('Counter', 2, 0).all(), [0, 1]);
});

eachTransport('stop() ends streams on both sides', async ({ connect }) => {
  const watcher = await connect('/conformance');
  const stopped = watcher.on('StreamStopped');
  const client = await connect('/conformance');
  const stream = client.stream('Forever');
  await stream.next();
  const { id } = client;
  await client.hub.stop();
  assert.equal((await stream.end()).error?.message, CONNECTION_CLOSED);
  await waitForStop(stopped, id);
});

eachTransport('an abort by the server ends streams on both sides', async ({ connect }) => {
  const watcher = await connect('/conformance');
  const stopped = watcher.on('StreamStopped');
  const client = await connect('/conformance', { reconnect: SHORT_DELAYS });
  const stream = client.stream('Forever');
  await stream.next();
  const { id } = client;
  await client.send('AbortMe');
  assert.ok((await stream.end()).error);
  await client.closed();
  await waitForStop(stopped, id);
  assert.equal(client.reconnecting.size, 0);
});

eachTransport('a cut connection ends its stream, and a reconnected client can start another', async (fixture) => {
  const { connect, tcpProxy, transport } = fixture;
  const proxy = await tcpProxy();
  const watcher = await connect('/conformance');
  const stopped = watcher.on('StreamStopped');
  const client = await connect('/conformance', { via: proxy.url, reconnect: SHORT_DELAYS });
  for (let round = 0; round < 3; round += 1) {
    const stream = client.stream('Forever');
    assert.equal(await stream.next(), 0);
    const { id } = client;
    proxy.cut();
    assert.ok((await stream.end()).error);
    await client.reconnected.next();
    assert.notEqual(client.id, id);
    assert.deepEqual(await client.stream('CounterChannel', 3).all(), [0, 1, 2]);
    // The server waits for the next poll until its disconnect timeout.
    if (transport !== 'LongPolling') await waitForStop(stopped, id);
  }
});

overWebSockets('a stream continues after a stateful reconnect without losing items', async ({ connect, tcpProxy }) => {
  const proxy = await tcpProxy();
  const client = await connect('/stateful', { via: proxy.url, stateful: true });
  const { id } = client;
  const stream = client.stream('Counter', 200, 5);
  for (let round = 0; round < 5; round += 1) {
    for (let n = 0; n < 20; n += 1) await stream.next();
    proxy.cut();
    assert.equal(await client.invoke('Echo', `round ${round}`), `round ${round}`);
  }
  assert.deepEqual(await stream.all(), upTo(200));
  assert.equal(client.id, id);
});

eachTransport('streams above the limit fail until another stream ends', async ({ connect }) => {
  const client = await connect('/conformance');
  const words = new Subject();
  const shout = client.stream('Shout', words);
  const open = upTo(999).map(() => client.stream('Counter', 1, 60_000));
  const rejected = upTo(5).map(() => client.stream('Counter', 1, 60_000));
  for (const stream of rejected) {
    assert.equal(
      (await stream.end()).error?.message,
      "An unexpected error occurred invoking 'Counter' on the server. " +
        'HubException: The connection has 1000 streams open already.',
    );
  }
  assert.equal(await client.invoke('Echo', 'meanwhile'), 'meanwhile');
  words.complete();
  assert.deepEqual(await shout.all(), []);
  assert.deepEqual(await client.stream('Counter', 1, 0).all(), [0]);
  assert.deepEqual(open.flatMap(({ items }) => items), []);
}, { deviation: 'ASP.NET Core has no such limit' });
