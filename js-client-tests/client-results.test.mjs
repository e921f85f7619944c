// Questions to clients (client results): what a handler returns is the answer that the hub method waits for.
import assert from 'node:assert/strict';
import { everywhere } from './support/conformance.mjs';

/** Hubs that run the calls of a client one after another, and four at once. */
const HUBS = ['/conformance', '/relay'];

/** A promise, and what resolves it. */
function promised() {
  let resolve;
  const promise = new Promise((resolved) => (resolve = resolved));
  return { promise, resolve };
}

everywhere('what a handler returns is the answer', async ({ connect }) => {
  for (const hub of HUBS) {
    const [asker, client] = [await connect(hub), await connect(hub)];
    let answer;
    client.hub.on('Answer', (question) => answer(question));
    answer = (question) => `${question} Blutdruck 120/80 ♥ 血圧 🩺`;
    assert.equal(await client.invoke('AskCaller', 'how?'), 'how? Blutdruck 120/80 ♥ 血圧 🩺');
    assert.equal(await asker.invoke('AskClient', client.id, 'you?'), 'you? Blutdruck 120/80 ♥ 血圧 🩺');
    answer = () => '';
    assert.equal(await asker.invoke('AskClient', client.id, 'you?'), '');
    answer = (question) => question;
    assert.equal(await asker.invoke('AskClient', client.id, null), null);
  }
});

everywhere('a handler may take its time', async ({ connect }) => {
  const [asker, client] = [await connect('/conformance'), await connect('/conformance')];
  const { promise, resolve } = promised();
  const asked = client.on('Answer');
  client.hub.on('Answer', () => promise);
  const answer = asker.invoke('AskClient', client.id, 'how?');
  assert.deepEqual(await asked.next(), ['how?']);
  assert.equal(await client.invoke('Echo', 'meanwhile'), 'meanwhile');
  assert.equal(await asker.invoke('Echo', 'meanwhile'), 'meanwhile');
  resolve('so');
  assert.equal(await answer, 'so');
});

everywhere('a client that has nothing to say answers with an error', async ({ connect }) => {
  const [asker, client] = [await connect('/conformance'), await connect('/conformance')];
  const NOTHING = "HubException: Client didn't provide a result.";
  const ask = (handlers, expected) => {
    client.hub.off('Answer');
    for (const handler of handlers) client.hub.on('Answer', handler);
    return asker.invoke('AskClient', client.id, 'how?').then((answer) => assert.equal(answer, expected));
  };
  await ask([], NOTHING);
  await ask([() => undefined], NOTHING);
  await ask([async () => {}], NOTHING);
  const fail = () => {
    throw new Error('no idea');
  };
  await ask([fail], 'HubException: Error: no idea');
  await ask([async () => fail()], 'HubException: Error: no idea');
  await ask([() => 'one', () => 'two'], 'HubException: Client provided multiple results.');
  await ask([fail, () => 'so'], 'so');
});

everywhere('a method that does not care fails with its question', async ({ connect }) => {
  const client = await connect('/conformance');
  const failed = "An unexpected error occurred invoking 'AskCaller' on the server.";
  await assert.rejects(client.invoke('AskCaller', 'how?'), {
    message: `${failed} HubException: Client didn't provide a result.`,
  });
  client.hub.on('Answer', () => Promise.reject(new Error('no idea')));
  await assert.rejects(client.invoke('AskCaller', 'how?'), { message: `${failed} HubException: Error: no idea` });
});

everywhere('an answer of another type is an error of the method', async ({ connect, protocol }) => {
  const client = await connect('/conformance');
  client.hub.on('Answer', () => 7);
  const reasons = {
    json: 'The JSON value could not be converted to System.String. Path: $ | LineNumber: 0 | BytePositionInLine: 1.',
    messagepack: "Deserializing object of the `String` type for 'argument' failed.",
  };
  assert.equal(
    await client.invoke('AskClient', client.id, 'how?'),
    `HubException: Error trying to deserialize result to String. ${reasons[protocol]}`,
  );
  assert.equal(await client.invoke('Echo', 'still here'), 'still here');
});

everywhere('a client may call while it is asked, and ask back', async ({ connect }) => {
  for (const hub of HUBS) {
    const [one, two] = [await connect(hub), await connect(hub)];
    // Each asks the other until the question is small enough.
    const answers = (client, other) => async (question) => {
      assert.equal(await client.invoke('Echo', 'while asked'), 'while asked');
      const depth = Number(question);
      if (depth === 0) return 'end';
      return `${depth} ${await client.invoke('AskClient', other.id, `${depth - 1}`)}`;
    };
    one.hub.on('Answer', answers(one, two));
    two.hub.on('Answer', answers(two, one));
    assert.equal(await one.invoke('AskClient', two.id, '6'), '6 5 4 3 2 1 end');
  }
});

everywhere('many questions wait at once, and each gets its own answer', async ({ connect }) => {
  for (const hub of HUBS) {
    const client = await connect(hub);
    const COUNT = 50;
    const waiting = [];
    const { promise: all, resolve: allAsked } = promised();
    client.hub.on('Answer', (question) => {
      const { promise, resolve } = promised();
      waiting.push(() => resolve(`answer to ${question}`));
      if (waiting.length === COUNT) allAsked();
      return promise;
    });
    const asked = Array.from({ length: COUNT }, (_, n) => client.invoke('AskCaller', `${n}`));
    await all;
    assert.equal(await client.invoke('Echo', 'calls pass'), 'calls pass');
    for (const answer of waiting.toReversed()) answer();
    for (const [n, answer] of asked.entries()) assert.equal(await answer, `answer to ${n}`);
  }
});

everywhere('a client that leaves owes no answer', async ({ connect }) => {
  const [asker, client] = [await connect('/conformance'), await connect('/conformance')];
  const asked = client.on('Answer');
  client.hub.on('Answer', () => promised().promise);
  const { id } = client;
  const answers = [1, 2, 3].map((n) => asker.invoke('AskClient', id, `${n}`));
  for (const n of [1, 2, 3]) assert.deepEqual(await asked.next(), [`${n}`]);
  await client.hub.stop();
  for (const answer of answers) assert.equal(await answer, `IOException: Connection '${id}' disconnected.`);
  assert.equal(await asker.invoke('AskClient', id, 'again'), `IOException: Connection '${id}' does not exist.`);
  assert.equal(await asker.invoke('AskClient', 'nobody', 'q'), "IOException: Connection 'nobody' does not exist.");
});

everywhere('a method may give up, and the late answer is nobody’s', async ({ connect }) => {
  for (const hub of HUBS) {
    const [asker, client] = [await connect(hub), await connect(hub)];
    const { promise, resolve } = promised();
    const asked = client.on('Answer');
    client.hub.on('Answer', () => promise);
    const answer = asker.invoke('AskWithTimeout', client.id, 'how?', 50);
    assert.equal(await answer, 'HubException: Invocation canceled by the server.');
    assert.deepEqual(await asked.next(), ['how?']);
    resolve('late');
    await promise;
    assert.equal(await client.invoke('Echo', 'still here'), 'still here');
    assert.equal(await asker.invoke('Echo', 'still here'), 'still here');
    assert.equal(await asker.invoke('AskWithTimeout', client.id, 'again?', 10_000), 'late');
  }
});

everywhere('clients are asked from outside of every call, too', async ({ connect, post }) => {
  const client = await connect('/conformance');
  client.hub.on('Answer', async (question) => `${question} so`);
  assert.equal(await post(`/outside/ask/${client.id}`, 'how?'), 'how? so');
  assert.equal(await post('/outside/ask/nobody', 'how?'), "IOException: Connection 'nobody' does not exist.");
  client.hub.off('Answer');
  assert.equal(await post(`/outside/ask/${client.id}`, 'how?'), "HubException: Client didn't provide a result.");
});
