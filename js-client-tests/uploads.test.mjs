// Streams to the server: `Subject`s among the arguments of calls and of streams.
import assert from 'node:assert/strict';
import { Subject } from '@microsoft/signalr';
import { everywhere, overWebSockets } from './support/conformance.mjs';
import { Kind } from './support/http-proxy.mjs';

/** Delays of a client that comes back quickly. */
const SOON = [0, 20, 50, 100];

/** Sends `items` and the end. */
function fill(subject, items) {
  for (const item of items) subject.next(item);
  subject.complete();
}

/** A client, and a function that fills one of its subjects and waits until all of that has gone to the server. */
async function observed({ connect, front, transport }) {
  const between = await front();
  const client = await connect('/conformance', { via: between.url });
  const lives = async () => assert.equal(await client.invoke('Echo', 'still here'), 'still here');
  const fillAll = async (subject, items) => {
    await lives();
    const before = between.count(Kind.send);
    fill(subject, items);
    // Without a WebSocket each item is a request, and what the client sends next is behind the last one's answer.
    if (transport !== 'WebSockets') await between.arrived(Kind.send, before + items.length + 1);
    await lives();
  };
  return { client, fillAll };
}

/** How many items each transport is given: without a WebSocket each of them is a request. */
const MANY = { WebSockets: 10_000, ServerSentEvents: 50, LongPolling: 50 };

everywhere('what a subject sends reaches the method, and so does its end', async ({ connect }) => {
  const client = await connect('/conformance');
  const [numbers, words, nothing] = [new Subject(), new Subject(), new Subject()];
  const sum = client.invoke('Sum', numbers);
  fill(numbers, [1, 2, 39]);
  assert.equal(await sum, 42);
  const text = client.invoke('Concat', words);
  fill(words, ['a', '', null, 'ü', '血圧 🩺', '"\u001e\n']);
  assert.equal(await text, 'aü血圧 🩺"\u001e\n');
  const empty = client.invoke('Concat', nothing);
  nothing.complete();
  assert.equal(await empty, '');
});

everywhere('a subject may stand anywhere among the arguments', async ({ connect }) => {
  const client = await connect('/conformance');
  const words = new Subject();
  const text = client.invoke('ConcatWith', '<', words, '>');
  fill(words, ['a', 'b']);
  assert.equal(await text, '<ab>');
});

everywhere('of two subjects side by side the client sends one, and the call is refused', async ({ connect }) => {
  // It goes on behind the argument after the one that it takes out. Other clients send both.
  const client = await connect('/conformance');
  await assert.rejects(client.invoke('SumTwo', new Subject(), new Subject()), {
    message: "Failed to invoke 'SumTwo' due to an error on the server.",
  });
  assert.equal(await client.invoke('Echo', 'still here'), 'still here');
});

everywhere('many items arrive, all and in order', async ({ connect, transport }) => {
  const client = await connect('/conformance');
  const count = MANY[transport];
  const words = new Subject();
  const text = client.invoke('Concat', words);
  const items = Array.from({ length: count }, (_, n) => `${n};`);
  fill(words, items);
  assert.equal(await text, items.join(''));
});

everywhere('large items arrive whole', async ({ connect }) => {
  const client = await connect('/conformance');
  const words = new Subject();
  const text = client.invoke('Concat', words);
  const items = Array.from({ length: 20 }, (_, n) => `${n}`.repeat(10_000));
  fill(words, items);
  assert.equal(await text, items.join(''));
});

everywhere('subjects that send at once are told apart, and calls pass by them', async ({ connect }) => {
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

everywhere('a subject that fails fails in the method', async ({ connect }) => {
  const client = await connect('/conformance');
  const failing = async (method, error) => {
    const subject = new Subject();
    const answer = client.invoke(method, subject);
    subject.error(error);
    return answer;
  };
  assert.equal(await failing('UploadError', new Error('client broke')), 'HubException: client broke');
  assert.equal(await failing('UploadError', 'a text "ü"'), 'HubException: a text "ü"');
  assert.equal(await failing('UploadError', undefined), 'HubException: Unknown error');
  await assert.rejects(failing('Sum', new Error('client broke')), {
    message: "An unexpected error occurred invoking 'Sum' on the server. HubException: client broke",
  });
  const fine = new Subject();
  const answer = client.invoke('UploadError', fine);
  fill(fine, ['a']);
  assert.equal(await answer, 'completed');
});

everywhere('an item of another type fails in the method, and what is behind it is lost', async (world) => {
  const { client, fillAll } = await observed(world);
  const numbers = new Subject();
  const sum = client.invoke('Sum', numbers);
  numbers.next(1);
  numbers.next('no number');
  await assert.rejects(sum, {
    message: "An unexpected error occurred invoking 'Sum' on the server. HubException: Failed to bind Stream message.",
  });
  await fillAll(numbers, [2, 3]);
});

everywhere('a method need not read what is sent to it', async (world) => {
  const { client, fillAll } = await observed(world);
  const words = new Subject();
  words.next('before anybody listens');
  assert.equal(await client.invoke('IgnoreUpload', words), 'ignored');
  // More than would be kept for a method that might read it.
  await fillAll(words, Array.from({ length: 30 }, () => 'late'));
});

everywhere('a stream may answer a stream, item by item', async ({ connect }) => {
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

everywhere('large items pass both ways at once', async ({ connect }) => {
  const client = await connect('/conformance');
  const words = new Subject();
  const shouts = client.stream('Shout', words);
  const items = Array.from({ length: 20 }, (_, n) => `${n} a`.repeat(7_500));
  fill(words, items);
  assert.deepEqual(await shouts.all(), items.map((item) => item.toUpperCase()));
});

everywhere('a subject that fails ends the stream that answers it', async ({ connect }) => {
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

everywhere('a stream that is cancelled reads no more', async (world) => {
  const { client, fillAll } = await observed(world);
  const words = new Subject();
  const shouts = client.stream('Shout', words);
  words.next('one');
  assert.equal(await shouts.next(), 'ONE');
  shouts.cancel();
  await fillAll(words, Array.from({ length: 30 }, () => 'late'));
  assert.deepEqual(shouts.items, ['ONE']);
});

everywhere('a call that is lost with its connection takes its subject along', async ({ connect, proxy }) => {
  const between = await proxy();
  const client = await connect('/conformance', { via: between.url, reconnect: SOON });
  const words = new Subject();
  const shouts = client.stream('Shout', words);
  words.next('lost');
  assert.equal(await shouts.next(), 'LOST');
  // The answer to this comes behind the answer to the request that carried the item.
  assert.equal(await client.invoke('Echo', 'sent'), 'sent');
  between.cut();
  assert.ok((await shouts.end()).error);
  await client.reconnected.next();
  const more = new Subject();
  const text = client.invoke('Concat', more);
  fill(more, ['not ', 'lost']);
  assert.equal(await text, 'not lost');
});

overWebSockets('a subject goes on over another socket, and nothing of it is lost', async ({ connect, proxy }) => {
  const between = await proxy();
  const client = await connect('/stateful', { via: between.url, stateful: true });
  const { id } = client;
  const words = new Subject();
  const shouts = client.stream('Shout', words);
  const expected = [];
  for (let round = 0; round < 5; round += 1) {
    for (let n = 0; n < 20; n += 1) {
      words.next(`word ${round}.${n}`);
      expected.push(`WORD ${round}.${n}`);
      if (n === 10) between.cut();
    }
    while (shouts.items.length < expected.length) await shouts.next();
  }
  words.complete();
  assert.deepEqual(await shouts.all(), expected);
  assert.equal(client.id, id);
});
