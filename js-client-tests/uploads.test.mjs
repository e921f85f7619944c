// Uploads: `Subject`s among the arguments of invocations and of server streams.
import assert from 'node:assert/strict';
import { Subject } from '@microsoft/signalr';
import { eachTransport, overWebSockets } from './support/conformance.mjs';
import { RequestKind } from './support/http-proxy.mjs';

/** Reconnect delays. */
const SHORT_DELAYS = [0, 20, 50, 100];

/** Sends `items` and completes the stream. */
function sendAll(subject, items) {
  for (const item of items) subject.next(item);
  subject.complete();
}

/**
 * Returns a client, and a function that sends items of a subject and waits until the server has
 * received them.
 */
async function clientWithProxy({ connect, httpProxy, transport }) {
  const proxy = await httpProxy();
  const client = await connect('/conformance', { via: proxy.url });
  const checkAlive = async () => assert.equal(await client.invoke('Echo', 'still here'), 'still here');
  const sendAndFlush = async (subject, items) => {
    await checkAlive();
    const before = proxy.count(RequestKind.send);
    sendAll(subject, items);
    // Without a WebSocket each item is a request. The client sends the next request after the last
    // response.
    if (transport !== 'WebSockets') await proxy.waitForRequests(RequestKind.send, before + items.length + 1);
    await checkAlive();
  };
  return { client, sendAndFlush };
}

/** Number of items for each transport. Without a WebSocket each item is a request. */
const ITEM_COUNTS = { WebSockets: 10_000, ServerSentEvents: 50, LongPolling: 50 };

eachTransport('a hub method receives the items and the end of an upload', async ({ connect }) => {
  const client = await connect('/conformance');
  const [numbers, words, nothing] = [new Subject(), new Subject(), new Subject()];
  const sum = client.invoke('Sum', numbers);
  sendAll(numbers, [1, 2, 39]);
  assert.equal(await sum, 42);
  const text = client.invoke('Concat', words);
  sendAll(words, ['a', '', null, 'ü', '血圧 🩺', '"\u001e\n']);
  assert.equal(await text, 'aü血圧 🩺"\u001e\n');
  const empty = client.invoke('Concat', nothing);
  nothing.complete();
  assert.equal(await empty, '');
});

eachTransport('an upload can be at any position among the arguments', async ({ connect }) => {
  const client = await connect('/conformance');
  const words = new Subject();
  const text = client.invoke('ConcatWith', '<', words, '>');
  sendAll(words, ['a', 'b']);
  assert.equal(await text, '<ab>');
});

eachTransport('an invocation with two adjacent subjects fails, since the client sends only one', async (fixture) => {
  const { connect } = fixture;
  // The client skips the argument after a subject when it looks for subjects. Other clients send
  // both.
  const client = await connect('/conformance');
  await assert.rejects(client.invoke('SumTwo', new Subject(), new Subject()), {
    message: "Failed to invoke 'SumTwo' due to an error on the server.",
  });
  assert.equal(await client.invoke('Echo', 'still here'), 'still here');
});

eachTransport('many items of an upload arrive complete and in order', async ({ connect, transport }) => {
  const client = await connect('/conformance');
  const count = ITEM_COUNTS[transport];
  const words = new Subject();
  const text = client.invoke('Concat', words);
  const items = Array.from({ length: count }, (_, n) => `${n};`);
  sendAll(words, items);
  assert.equal(await text, items.join(''));
});

eachTransport('large items of an upload arrive complete', async ({ connect }) => {
  const client = await connect('/conformance');
  const words = new Subject();
  const text = client.invoke('Concat', words);
  const items = Array.from({ length: 20 }, (_, n) => `${n}`.repeat(10_000));
  sendAll(words, items);
  assert.equal(await text, items.join(''));
});

eachTransport('concurrent uploads stay separate and do not block invocations', async ({ connect }) => {
  const client = await connect('/conformance');
  const subjects = Array.from({ length: 20 }, () => new Subject());
  const texts = subjects.map((subject) => client.invoke('Concat', subject));
  for (let round = 0; round < 5; round += 1) {
    for (const [n, subject] of subjects.entries()) subject.next(`${n}.${round} `);
    assert.equal(await client.invoke('Add', round, 1), round + 1);
  }
  for (const subject of subjects.toReversed()) subject.complete();
  for (const [n, text] of texts.entries()) {
    assert.equal(await text, [0, 1, 2, 3, 4].map((round) => `${n}.${round} `).join(''));
  }
});

eachTransport('an error of a subject is an error of the upload in the hub method', async ({ connect }) => {
  const client = await connect('/conformance');
  const failing = async (method, error) => {
    const subject = new Subject();
    const result = client.invoke(method, subject);
    subject.error(error);
    return result;
  };
  assert.equal(await failing('UploadError', new Error('client broke')), 'HubException: client broke');
  assert.equal(await failing('UploadError', 'a text "ü"'), 'HubException: a text "ü"');
  assert.equal(await failing('UploadError', undefined), 'HubException: Unknown error');
  await assert.rejects(failing('Sum', new Error('client broke')), {
    message: "An unexpected error occurred invoking 'Sum' on the server. HubException: client broke",
  });
  const complete = new Subject();
  const result = client.invoke('UploadError', complete);
  sendAll(complete, ['a']);
  assert.equal(await result, 'completed');
});

eachTransport('an item of the wrong type ends an upload, and later items are discarded', async (fixture) => {
  const { client, sendAndFlush } = await clientWithProxy(fixture);
  const numbers = new Subject();
  const sum = client.invoke('Sum', numbers);
  numbers.next(1);
  numbers.next('not a number');
  await assert.rejects(sum, {
    message: "An unexpected error occurred invoking 'Sum' on the server. HubException: Failed to bind Stream message.",
  });
  await sendAndFlush(numbers, [2, 3]);
});

eachTransport('items of an upload that the hub method does not read are discarded', async (fixture) => {
  const { client, sendAndFlush } = await clientWithProxy(fixture);
  const words = new Subject();
  words.next('before the method starts');
  assert.equal(await client.invoke('IgnoreUpload', words), 'ignored');
  // More items than the buffer of an upload holds.
  await sendAndFlush(words, Array.from({ length: 30 }, () => 'late'));
});

eachTransport('a server stream can process an upload item by item', async ({ connect }) => {
  const client = await connect('/conformance');
  const words = new Subject();
  const shouts = client.stream('Shout', words);
  for (let n = 0; n < 20; n += 1) {
    words.next(`word ${n}`);
    assert.equal(await shouts.next(), `WORD ${n}`);
  }
  words.complete();
  assert.equal((await shouts.all()).length, 20);
});

eachTransport('large items pass in both directions at once', async ({ connect }) => {
  const client = await connect('/conformance');
  const words = new Subject();
  const shouts = client.stream('Shout', words);
  const items = Array.from({ length: 20 }, (_, n) => `${n} a`.repeat(7_500));
  sendAll(words, items);
  assert.deepEqual(await shouts.all(), items.map((item) => item.toUpperCase()));
});

eachTransport('an error of a subject ends the server stream that reads it', async ({ connect }) => {
  const client = await connect('/conformance');
  const words = new Subject();
  const shouts = client.stream('Shout', words);
  words.next('one');
  words.error(new Error('client broke'));
  await assert.rejects(shouts.all(), {
    message: 'An error occurred on the server while streaming results. HubException: client broke',
  });
  assert.deepEqual(shouts.items, ['ONE']);
});

eachTransport('a cancelled server stream stops reading its upload', async (fixture) => {
  const { client, sendAndFlush } = await clientWithProxy(fixture);
  const words = new Subject();
  const shouts = client.stream('Shout', words);
  words.next('one');
  assert.equal(await shouts.next(), 'ONE');
  shouts.cancel();
  await sendAndFlush(words, Array.from({ length: 30 }, () => 'late'));
  assert.deepEqual(shouts.items, ['ONE']);
});

eachTransport('an upload ends with the connection, and a reconnected client can start another', async (fixture) => {
  const { connect, tcpProxy } = fixture;
  const proxy = await tcpProxy();
  const client = await connect('/conformance', { via: proxy.url, reconnect: SHORT_DELAYS });
  const words = new Subject();
  const shouts = client.stream('Shout', words);
  words.next('lost');
  assert.equal(await shouts.next(), 'LOST');
  // This response follows the response to the request with the item.
  assert.equal(await client.invoke('Echo', 'sent'), 'sent');
  proxy.cut();
  assert.ok((await shouts.end()).error);
  await client.reconnected.next();
  const more = new Subject();
  const text = client.invoke('Concat', more);
  sendAll(more, ['not ', 'lost']);
  assert.equal(await text, 'not lost');
});

overWebSockets('an upload continues after a stateful reconnect without losing items', async ({ connect, tcpProxy }) => {
  const proxy = await tcpProxy();
  const client = await connect('/stateful', { via: proxy.url, stateful: true });
  const { id } = client;
  const words = new Subject();
  const shouts = client.stream('Shout', words);
  const expected = [];
  for (let round = 0; round < 5; round += 1) {
    for (let n = 0; n < 20; n += 1) {
      words.next(`word ${round}.${n}`);
      expected.push(`WORD ${round}.${n}`);
      if (n === 10) proxy.cut();
    }
    while (shouts.items.length < expected.length) await shouts.next();
  }
  words.complete();
  assert.deepEqual(await shouts.all(), expected);
  assert.equal(client.id, id);
});
