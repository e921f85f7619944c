// Streams from the server: their items and errors, how they are cancelled, and what is left of them when clients go.
import assert from 'node:assert/strict';
import { Subject } from '@microsoft/signalr';
import { everywhere, overWebSockets } from './support/conformance.mjs';

/** Waits until the stream of the connection `id` was stopped; `stopped` is what another client heard of all of them. */
async function stops(stopped, id) {
  while ((await stopped.next())[0] !== id);
}

/** Delays of a client that comes back quickly. */
const SOON = [0, 20, 50, 100];

const LOST = 'Invocation canceled due to the underlying connection being closed.';

const upTo = (count) => Array.from({ length: count }, (_, n) => n);

everywhere('the items of a stream come in order, and then its end', async ({ connect }) => {
  const client = await connect('/conformance');
  assert.deepEqual(await client.stream('Counter', 5, 1).all(), [0, 1, 2, 3, 4]);
  assert.deepEqual(await client.stream('CounterChannel', 3).all(), [0, 1, 2]);
  assert.deepEqual(await client.stream('CounterChannelLater', 2).all(), ['#0', '#1']);
  assert.deepEqual(await client.stream('counter', 1, 0).all(), [0]);
});

everywhere('a stream may have no items', async ({ connect }) => {
  const client = await connect('/conformance');
  for (const [method, ...args] of [['Counter', 0, 0], ['Counter', -5, 0], ['CounterChannel', 0]]) {
    assert.deepEqual(await client.stream(method, ...args).all(), []);
  }
});

everywhere('ten thousand items arrive, all and in order', async ({ connect }) => {
  const client = await connect('/conformance');
  assert.deepEqual(await client.stream('CounterChannel', 10_000).all(), upTo(10_000));
});

everywhere('streams that run at once are told apart', async ({ connect }) => {
  const client = await connect('/conformance');
  const streams = upTo(20).map((n) => client.stream('Counter', n * 10, 0));
  for (const [n, stream] of streams.entries()) assert.deepEqual(await stream.all(), upTo(n * 10));
});

everywhere('calls pass by the streams that are under way', async ({ connect }) => {
  const client = await connect('/conformance');
  const [first, second] = [client.stream('Forever'), client.stream('Forever')];
  assert.equal(await first.next(), 0);
  assert.equal(await client.invoke('Echo', 'between'), 'between');
  assert.equal(await second.next(), 0);
  const third = client.stream('CounterChannel', 3);
  assert.deepEqual(await third.all(), [0, 1, 2]);
  for (const stream of [first, second]) for (const n of [1, 2, 3]) assert.equal(await stream.next(), n);
});

everywhere('errors of streams are told, and no more of them than clients may know', async ({ connect }) => {
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

everywhere('where details are shown, the error of a stream has them', async ({ connect }) => {
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

everywhere('a stream that is cancelled stops on the server, and no other does', async ({ connect }) => {
  const watcher = await connect('/conformance');
  const stopped = watcher.on('StreamStopped');
  const client = await connect('/conformance');
  const [cancelled, kept] = [client.stream('Forever'), client.stream('Forever')];
  for (const stream of [cancelled, kept]) assert.equal(await stream.next(), 0);
  cancelled.cancel();
  await stops(stopped, client.id);
  const { length } = cancelled.items;
  // Items that come behind the cancellation are nobody's.
  for (const n of [1, 2, 3]) assert.equal(await kept.next(), n);
  assert.equal(cancelled.items.length, length);
  kept.cancel();
  await stops(stopped, client.id);
  assert.deepEqual(await client.stream('Counter', 2, 0).all(), [0, 1]);
});

everywhere('a stream may be cancelled before it has begun, and another one started', async ({ connect }) => {
  const client = await connect('/conformance');
  for (let round = 0; round < 20; round += 1) {
    const stream = client.stream('Counter', 5, 5_000);
    stream.cancel();
    assert.equal(await client.invoke('Add', round, 1), round + 1);
    assert.deepEqual(stream.items, []);
  }
  assert.deepEqual(await client.stream('Counter', 2, 0).all(), [0, 1]);
});

everywhere('stop() ends the streams on both sides', async ({ connect }) => {
  const watcher = await connect('/conformance');
  const stopped = watcher.on('StreamStopped');
  const client = await connect('/conformance');
  const stream = client.stream('Forever');
  await stream.next();
  const { id } = client;
  await client.hub.stop();
  assert.equal((await stream.end()).error?.message, LOST);
  await stops(stopped, id);
});

everywhere('an abort by the server ends the streams on both sides', async ({ connect }) => {
  const watcher = await connect('/conformance');
  const stopped = watcher.on('StreamStopped');
  const client = await connect('/conformance', { reconnect: SOON });
  const stream = client.stream('Forever');
  await stream.next();
  const { id } = client;
  await client.send('AbortMe');
  assert.ok((await stream.end()).error);
  await client.closed();
  await stops(stopped, id);
  assert.equal(client.reconnecting.size, 0);
});

everywhere('a cut ends a stream, and the client that comes back may start another', async (world) => {
  const { connect, proxy, transport } = world;
  const between = await proxy();
  const watcher = await connect('/conformance');
  const stopped = watcher.on('StreamStopped');
  const client = await connect('/conformance', { via: between.url, reconnect: SOON });
  for (let round = 0; round < 3; round += 1) {
    const stream = client.stream('Forever');
    assert.equal(await stream.next(), 0);
    const { id } = client;
    between.cut();
    assert.ok((await stream.end()).error);
    await client.reconnected.next();
    assert.notEqual(client.id, id);
    assert.deepEqual(await client.stream('CounterChannel', 3).all(), [0, 1, 2]);
    // The next poll of a client may always come, so the server waits for it a while.
    if (transport !== 'LongPolling') await stops(stopped, id);
  }
});

overWebSockets('a stream goes on over another socket, and nothing of it is lost', async ({ connect, proxy }) => {
  const between = await proxy();
  const client = await connect('/stateful', { via: between.url, stateful: true });
  const { id } = client;
  const stream = client.stream('Counter', 200, 5);
  for (let round = 0; round < 5; round += 1) {
    for (let n = 0; n < 20; n += 1) await stream.next();
    between.cut();
    assert.equal(await client.invoke('Echo', `round ${round}`), `round ${round}`);
  }
  assert.deepEqual(await stream.all(), upTo(200));
  assert.equal(client.id, id);
});

everywhere('streams beyond the limit are refused, until one ends', async ({ connect }) => {
  const client = await connect('/conformance');
  const words = new Subject();
  const shout = client.stream('Shout', words);
  const open = upTo(999).map(() => client.stream('Counter', 1, 60_000));
  const beyond = upTo(5).map(() => client.stream('Counter', 1, 60_000));
  for (const stream of beyond) {
    assert.equal(
      (await stream.end()).error?.message,
      "An unexpected error occurred invoking 'Counter' on the server. " +
        'HubException: The connection has 1000 streams open already.',
    );
  }
  assert.equal(await client.invoke('Echo', 'calls pass'), 'calls pass');
  words.complete();
  assert.deepEqual(await shout.all(), []);
  assert.deepEqual(await client.stream('Counter', 1, 0).all(), [0]);
  assert.deepEqual(open.flatMap(({ items }) => items), []);
}, { ours: 'ASP.NET Core has no such limit' });
