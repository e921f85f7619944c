// Invocations in both directions: invoke, send and on, and which errors are hidden from clients.
import assert from 'node:assert/strict';
import { eachTransport } from './support/conformance.mjs';

const byProtocol = (protocol, json, messagepack) => (protocol === 'json' ? json : messagepack);

eachTransport('an invocation resolves with the result of the method', async ({ connect, protocol }) => {
  const client = await connect('/conformance');
  assert.equal(await client.invoke('Echo', 'Blutdruck 120/80 ♥ 血圧 🩺'), 'Blutdruck 120/80 ♥ 血圧 🩺');
  assert.equal(await client.invoke('Echo', ''), '');
  assert.equal(await client.invoke('Echo', null), null);
  assert.equal(await client.invoke('Add', -2, 44), 42);
  assert.equal(await client.invoke('EchoLong', Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
  assert.equal(await client.invoke('EchoDouble', 36.6), 36.6);
  assert.equal(await client.invoke('EchoBool', true), true);
  assert.equal(await client.invoke('EchoNullable', null), null);
  assert.deepEqual(await client.invoke('EchoInts', [3, 1, 2]), [3, 1, 2]);
  assert.deepEqual(await client.invoke('EchoMap', { pulse: 72, spo2: 98 }), { pulse: 72, spo2: 98 });
  assert.deepEqual(await client.invoke('EchoObject', { a: [1, 'x', null] }), { a: [1, 'x', null] });
  const bytes = byProtocol(protocol, 'AQL/', new Uint8Array([1, 2, 255]));
  assert.deepEqual(await client.invoke('EchoBytes', bytes), bytes);
});

eachTransport('an object keeps its fields in both directions', async ({ connect, protocol }) => {
  const client = await connect('/conformance');
  const sent = byProtocol(protocol, { name: 'Ann', age: 3, tags: ['icu'] }, { Name: 'Ann', Age: 3, Tags: ['icu'] });
  const received = await client.invoke('EchoPerson', sent);
  for (const [field, value] of Object.entries(sent)) assert.deepEqual(received[field], value, field);
  assert.equal(received[byProtocol(protocol, 'friend', 'Friend')], null);
});

eachTransport('an invocation of a method without a result resolves with null', async ({ connect }) => {
  const client = await connect('/conformance');
  assert.equal(await client.invoke('ReturnsVoid'), null);
  assert.equal(await client.invoke('ReturnsTask'), null);
  assert.equal(await client.invoke('ReturnsNull'), null);
});

eachTransport('a method is found by its wire name, ignoring case', async ({ connect }) => {
  const client = await connect('/conformance');
  assert.equal(await client.invoke('eCHO', 'found'), 'found');
  assert.equal(await client.invoke('renamed'), 'renamed');
  assert.equal(await client.invoke('Inherited'), 'from the base class');
  for (const name of ['OriginalName', 'NotPublic', 'OnConnectedAsync', 'NoSuchMethod']) {
    await assert.rejects(client.invoke(name), {
      message: `Failed to invoke '${name}' due to an error on the server. HubException: Method does not exist.`,
    });
  }
  assert.equal(await client.invoke('Echo', 'still here'), 'still here');
});

eachTransport('the server invokes all handlers of a method with its arguments', async ({ connect, protocol }) => {
  const client = await connect('/conformance');
  const [first, second] = [client.on('NotifiedArgs'), client.on('notifiedargs')];
  await client.invoke('NotifyArgs');
  const args = await first.next();
  assert.deepEqual(args.slice(0, 6), ['text', 1, 2.5, true, null, [1, 2]]);
  assert.equal(args[6][byProtocol(protocol, 'name', 'Name')], 'Ann');
  assert.deepEqual(await second.next(), args);

  const none = client.on('NotifiedNone');
  await client.send('NotifyNoArgs');
  assert.deepEqual(await none.next(), []);

  const bytes = client.on('NotifiedBytes');
  await client.send('NotifyBytes');
  assert.deepEqual(await bytes.next(), [byProtocol(protocol, 'AQL/', new Uint8Array([1, 2, 255]))]);
});

eachTransport('a removed handler is not called again', async ({ connect }) => {
  const client = await connect('/conformance');
  let calls = 0;
  const count = () => (calls += 1);
  const kept = client.on('Notified');
  client.hub.on('Notified', count);
  await client.invoke('Notify', 'one');
  await kept.next();
  client.hub.off('Notified', count);
  await client.invoke('Notify', 'two');
  assert.deepEqual(await kept.next(), ['two']);
  assert.equal(calls, 1);
});

eachTransport('a message that a method sends to its caller arrives before its result', async ({ connect }) => {
  const client = await connect('/conformance');
  const order = [];
  client.hub.on('Notified', (text) => order.push(`notified ${text}`));
  order.push(`returned ${await client.invoke('NotifyThenReturn', 'a')}`);
  assert.deepEqual(order, ['notified a', 'returned a']);
});

eachTransport('many messages arrive complete and in order', async ({ connect }) => {
  const client = await connect('/conformance');
  const notified = client.on('Notified');
  await client.send('NotifyMany', 500);
  const seen = [];
  while (seen.length < 500) seen.push((await notified.next())[0]);
  assert.deepEqual(seen, Array.from({ length: 500 }, (_, index) => index));
});

eachTransport('concurrent invocations resolve with their own results', async ({ connect }) => {
  const client = await connect('/conformance');
  const sums = await Promise.all(Array.from({ length: 500 }, (_, index) => client.invoke('Add', index, 1)));
  assert.deepEqual(sums, Array.from({ length: 500 }, (_, index) => index + 1));
});

eachTransport('invocations of one client run one at a time by default', async ({ connect }) => {
  const client = await connect('/conformance');
  const order = [];
  await Promise.all([
    client.invoke('Slow', 100, 1).then((value) => order.push(value)),
    client.invoke('Slow', 0, 2).then((value) => order.push(value)),
  ]);
  assert.deepEqual(order, [1, 2]);
});

eachTransport('a hub can allow parallel invocations of one client', async ({ connect }) => {
  const client = await connect('/parallel');
  const order = [];
  await Promise.all([
    client.invoke('Slow', 500, 1).then((value) => order.push(value)),
    client.invoke('Slow', 0, 2).then((value) => order.push(value)),
  ]);
  assert.deepEqual(order, [2, 1]);
});

eachTransport('an unexpected error is hidden from the client', async ({ connect }) => {
  const client = await connect('/conformance');
  for (const method of ['Throw', 'ThrowLater']) {
    await assert.rejects(client.invoke(method), {
      message: `An unexpected error occurred invoking '${method}' on the server.`,
    });
  }
  assert.equal(await client.invoke('Echo', 'still here'), 'still here');
});

eachTransport('the message of a hub error reaches the client', async ({ connect }) => {
  const client = await connect('/conformance');
  await assert.rejects(client.invoke('ThrowHub'), {
    message: "An unexpected error occurred invoking 'ThrowHub' on the server. HubException: visible detail",
  });
  await assert.rejects(client.invoke('ThrowHubInner'), {
    message: "An unexpected error occurred invoking 'ThrowHubInner' on the server. HubException: outer",
  });
});

eachTransport('unexpected errors reach the client with detailed errors enabled', async ({ connect }) => {
  const client = await connect('/detailed');
  await assert.rejects(client.invoke('Throw'), {
    message: "An unexpected error occurred invoking 'Throw' on the server. InvalidOperationException: secret detail",
  });
  await assert.rejects(client.invoke('Add', 1), {
    message:
      "Failed to invoke 'Add' due to an error on the server. " +
      'InvalidDataException: Invocation provides 1 argument(s) but target expects 2.',
  });
  await assert.rejects(client.invoke('Add', 'one', 2), {
    message:
      "Failed to invoke 'Add' due to an error on the server. InvalidDataException: Error binding arguments. " +
      'Make sure that the types of the provided values match the types of the hub method being invoked.',
  });
});

eachTransport('invalid arguments fail the invocation and the connection stays open', async ({ connect }) => {
  const client = await connect('/conformance');
  const wrongCounts = [['Add', 1], ['Add', 1, 2, 3]];
  const wrongTypes = [['Add', 'one', 2], ['Echo', 5], ['Overflow', 300], ['EchoInts', { a: 1 }]];
  for (const [method, ...args] of [...wrongCounts, ...wrongTypes]) {
    await assert.rejects(client.invoke(method, ...args), {
      message: `Failed to invoke '${method}' due to an error on the server.`,
    });
  }
  assert.equal(await client.invoke('Add', 1, 2), 3);
});

eachTransport('a failed send has no response and the connection stays open', async ({ connect }) => {
  const client = await connect('/conformance');
  await client.send('Throw');
  await client.send('NoSuchMethod');
  await client.send('Add', 'one', 2);
  await client.send('ToCaller', 'after them');
  assert.equal(await client.messages.next(), 'after them');
});

eachTransport('a message above the size limit closes the connection', async ({ connect }) => {
  const client = await connect('/conformance');
  const large = 'x'.repeat(32_000);
  assert.equal(await client.invoke('Echo', large), large);
  const expected = { message: 'Server returned an error on close: Connection closed with an error.' };
  const rejected = assert.rejects(client.invoke('Echo', 'x'.repeat(33_000)), expected);
  const { error } = await client.closed();
  assert.equal(error.message, expected.message);
  await rejected;
});

eachTransport('a hub method can read the id, transport, query, user and items of its caller', async (fixture) => {
  const { connect, transport } = fixture;
  const client = await connect('/conformance?ward=icu');
  assert.equal(await client.invoke('ConnectionId'), client.id);
  assert.equal(await client.invoke('Transport'), transport);
  assert.equal(await client.invoke('Query', 'ward'), 'icu');
  assert.equal(await client.invoke('IsAuthenticated'), false);
  assert.equal(await client.invoke('UserIdentifier'), null);
  await client.invoke('SetItem', 'key', 'kept');
  assert.equal(await client.invoke('GetItem', 'key'), 'kept');
  const other = await connect('/conformance');
  assert.notEqual(other.id, client.id);
  assert.equal(await other.invoke('GetItem', 'key'), null);
});
