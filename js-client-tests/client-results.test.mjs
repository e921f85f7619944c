// Client results: a hub method invokes a method of a client and waits for the value that the
// handler returns.
import assert from 'node:assert/strict';
import { eachTransport } from './support/conformance.mjs';

/** A hub that runs one invocation of a client at a time, and a hub that runs four. */
const HUBS = ['/conformance', '/relay'];

/** Returns a promise and the function that resolves it. */
function deferred() {
  let resolve;
  const promise = new Promise((resolved) => (resolve = resolved));
  return { promise, resolve };
}

eachTransport('the return value of a handler is the client result', async ({ connect }) => {
  for (const hub of HUBS) {
    const [invoker, client] = [await connect(hub), await connect(hub)];
    let handler;
    client.hub.on('Answer', (text) => handler(text));
    handler = (text) => `${text} Blutdruck 120/80 ♥ 血圧 🩺`;
    assert.equal(await client.invoke('AskCaller', 'how?'), 'how? Blutdruck 120/80 ♥ 血圧 🩺');
    assert.equal(await invoker.invoke('AskClient', client.id, 'you?'), 'you? Blutdruck 120/80 ♥ 血圧 🩺');
    handler = () => '';
    assert.equal(await invoker.invoke('AskClient', client.id, 'you?'), '');
    handler = (text) => text;
    assert.equal(await invoker.invoke('AskClient', client.id, null), null);
  }
});

eachTransport('an asynchronous handler blocks no other invocation', async ({ connect }) => {
  const [invoker, client] = [await connect('/conformance'), await connect('/conformance')];
  const { promise, resolve } = deferred();
  const invocations = client.on('Answer');
  client.hub.on('Answer', () => promise);
  const result = invoker.invoke('AskClient', client.id, 'how?');
  assert.deepEqual(await invocations.next(), ['how?']);
  assert.equal(await client.invoke('Echo', 'meanwhile'), 'meanwhile');
  assert.equal(await invoker.invoke('Echo', 'meanwhile'), 'meanwhile');
  resolve('so');
  assert.equal(await result, 'so');
});

eachTransport('a missing, failed or ambiguous client result is an error', async ({ connect }) => {
  const [invoker, client] = [await connect('/conformance'), await connect('/conformance')];
  const NO_RESULT = "HubException: Client didn't provide a result.";
  const check = (handlers, expected) => {
    client.hub.off('Answer');
    for (const handler of handlers) client.hub.on('Answer', handler);
    return invoker.invoke('AskClient', client.id, 'how?').then((result) => assert.equal(result, expected));
  };
  await check([], NO_RESULT);
  await check([() => undefined], NO_RESULT);
  await check([async () => {}], NO_RESULT);
  const fail = () => {
    throw new Error('no idea');
  };
  await check([fail], 'HubException: Error: no idea');
  await check([async () => fail()], 'HubException: Error: no idea');
  await check([() => 'one', () => 'two'], 'HubException: Client provided multiple results.');
  await check([fail, () => 'so'], 'so');
});

eachTransport('a hub method that does not handle the error of a client result fails with it', async ({ connect }) => {
  const client = await connect('/conformance');
  const failed = "An unexpected error occurred invoking 'AskCaller' on the server.";
  await assert.rejects(client.invoke('AskCaller', 'how?'), {
    message: `${failed} HubException: Client didn't provide a result.`,
  });
  client.hub.on('Answer', () => Promise.reject(new Error('no idea')));
  await assert.rejects(client.invoke('AskCaller', 'how?'), { message: `${failed} HubException: Error: no idea` });
});

eachTransport('a client result of the wrong type is an error', async ({ connect, protocol }) => {
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

eachTransport('a handler can invoke hub methods and request client results', async ({ connect }) => {
  for (const hub of HUBS) {
    const [one, two] = [await connect(hub), await connect(hub)];
    // Each client requests a result of the other until the depth is 0.
    const handler = (client, other) => async (text) => {
      assert.equal(await client.invoke('Echo', 'from a handler'), 'from a handler');
      const depth = Number(text);
      if (depth === 0) return 'end';
      return `${depth} ${await client.invoke('AskClient', other.id, `${depth - 1}`)}`;
    };
    one.hub.on('Answer', handler(one, two));
    two.hub.on('Answer', handler(two, one));
    assert.equal(await one.invoke('AskClient', two.id, '6'), '6 5 4 3 2 1 end');
  }
});

eachTransport('many pending client results resolve with their values in any order', async ({ connect }) => {
  for (const hub of HUBS) {
    const client = await connect(hub);
    const COUNT = 50;
    const pending = [];
    const { promise: allReceived, resolve: onAllReceived } = deferred();
    client.hub.on('Answer', (text) => {
      const { promise, resolve } = deferred();
      pending.push(() => resolve(`result of ${text}`));
      if (pending.length === COUNT) onAllReceived();
      return promise;
    });
    const results = Array.from({ length: COUNT }, (_, n) => client.invoke('AskCaller', `${n}`));
    await allReceived;
    assert.equal(await client.invoke('Echo', 'meanwhile'), 'meanwhile');
    for (const resolve of pending.toReversed()) resolve();
    for (const [n, result] of results.entries()) assert.equal(await result, `result of ${n}`);
  }
});

eachTransport('pending client results fail when the client disconnects', async ({ connect }) => {
  const [invoker, client] = [await connect('/conformance'), await connect('/conformance')];
  const invocations = client.on('Answer');
  client.hub.on('Answer', () => deferred().promise);
  const { id } = client;
  const results = [1, 2, 3].map((n) => invoker.invoke('AskClient', id, `${n}`));
  for (const n of [1, 2, 3]) assert.deepEqual(await invocations.next(), [`${n}`]);
  await client.hub.stop();
  for (const result of results) assert.equal(await result, `IOException: Connection '${id}' disconnected.`);
  assert.equal(await invoker.invoke('AskClient', id, 'again'), `IOException: Connection '${id}' does not exist.`);
  assert.equal(await invoker.invoke('AskClient', 'unknown', 'q'), "IOException: Connection 'unknown' does not exist.");
});

eachTransport('a client result that arrives after its timeout is ignored', async ({ connect }) => {
  for (const hub of HUBS) {
    const [invoker, client] = [await connect(hub), await connect(hub)];
    const { promise, resolve } = deferred();
    const invocations = client.on('Answer');
    client.hub.on('Answer', () => promise);
    const result = invoker.invoke('AskWithTimeout', client.id, 'how?', 50);
    assert.equal(await result, 'HubException: Invocation canceled by the server.');
    assert.deepEqual(await invocations.next(), ['how?']);
    resolve('late');
    await promise;
    assert.equal(await client.invoke('Echo', 'still here'), 'still here');
    assert.equal(await invoker.invoke('Echo', 'still here'), 'still here');
    assert.equal(await invoker.invoke('AskWithTimeout', client.id, 'again?', 10_000), 'late');
  }
});

eachTransport('a client result can be requested outside of hub methods', async ({ connect, post }) => {
  const client = await connect('/conformance');
  client.hub.on('Answer', async (text) => `${text} so`);
  assert.equal(await post(`/outside/ask/${client.id}`, 'how?'), 'how? so');
  assert.equal(await post('/outside/ask/unknown', 'how?'), "IOException: Connection 'unknown' does not exist.");
  client.hub.off('Answer');
  assert.equal(await post(`/outside/ask/${client.id}`, 'how?'), "HubException: Client didn't provide a result.");
});
