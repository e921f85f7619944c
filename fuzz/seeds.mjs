// Writes the initial corpus of all fuzz targets to `corpus`: the recordings and vectors in
// `fixtures`, the requests in `seeds`, and messages that are expensive to parse. `src/input.rs`
// documents the layout of an input.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const HERE = import.meta.dirname;
const FIXTURES = join(HERE, '../fixtures');
const SEPARATOR = Buffer.from([0x1e]);

/** Option bits of `src/framing.rs`, `src/post.rs` and `src/session.rs`. */
const FRAMING = { dotNet: 2, separated: 4 };
const POST = { chunked: 4, cut: 8, verbatim: 16 };
const SESSION = { messagePack: 1, separated: 2, stateful: 4, parallel: 8, attentive: 16, loses: 32, welcome: 64 };

/** Chunk lengths minus one: a single chunk, and chunks of 7 and of 64 bytes. */
const CHUNKINGS = [[], [6], [63]];

/** Longer inputs are skipped. The limit is above the default maximum size of a message. */
const MAX_INPUT_BYTES = 40 * 1024;

let count = 0;

function seed(target, bytes) {
  if (bytes.length > MAX_INPUT_BYTES) return;
  const folder = join(HERE, 'corpus', target);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, createHash('sha1').update(bytes).digest('hex')), bytes);
  count += 1;
}

function seedChunked(target, options, stream, chunkings = CHUNKINGS) {
  for (const lengths of chunkings) seed(target, Buffer.concat([Buffer.from([options, lengths.length, ...lengths]), stream]));
}

const messages = {
  json: (stream) => [0, FRAMING.dotNet].forEach((options) => seedChunked('json', options, stream)),
  messagePack: (stream, separated) => {
    for (const naming of [0, FRAMING.dotNet]) {
      seedChunked('messagepack', naming, stream);
      if (separated) seedChunked('messagepack', naming | FRAMING.separated, separated, [[]]);
    }
  },
};

/** A MessagePack message with its length prefix. */
function framed(body) {
  const prefix = [];
  let length = body.length;
  for (; length > 0x7f; length >>>= 7) prefix.push((length & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...prefix, length]), body]);
}

/**
 * The messages of a stream, separated by 0xC1; undefined if a message contains that byte or the
 * stream is invalid.
 */
function separated(stream) {
  const bodies = [];
  for (let at = 0; at < stream.length; ) {
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = stream[at++];
      length |= (byte & 0x7f) << shift;
      if (!(byte & 0x80)) break;
    }
    if (!(length > 0) || at + length > stream.length) return undefined;
    bodies.push(stream.subarray(at, (at += length)));
  }
  if (bodies.some((body) => body.includes(0xc1))) return undefined;
  return Buffer.concat(bodies.flatMap((body, index) => (index ? [Buffer.from([0xc1]), body] : [body])));
}

/** A WebSocket frame of a client, masked with `key`. */
function frame(opcode, payload, { final = true, key = [0, 0, 0, 0] } = {}) {
  const size = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff];
  const head = Buffer.from([opcode | (final ? 0x80 : 0), size[0] | 0x80, ...size.slice(1), ...key]);
  return Buffer.concat([head, payload.map((byte, at) => byte ^ key[at % 4])]);
}

function payload(event) {
  return event.base64 === undefined ? Buffer.from(event.text ?? '') : Buffer.from(event.base64, 'base64');
}

function transcript({ name, events }) {
  const did = events.filter((event) => event.do);
  const sockets = did.filter((event) => event.do === 'ws').map((event) => event.as);
  for (const socket of sockets) {
    const sent = did.filter((event) => event.do === 'send' && event.on === socket);
    if (sent.length) session(name, sent.map(payload), sockets.length > 1);
    const frames = sent.map((event) => frame(event.base64 === undefined ? 1 : 2, payload(event)));
    const close = did.find((event) => event.do === 'close' && event.on === socket);
    if (close) frames.push(frame(8, Buffer.from([(close.code ?? 1000) >> 8, (close.code ?? 1000) & 0xff])));
    if (frames.length && frames.every((each) => each.length < 0x10000)) seedChunked('websocket', 0, Buffer.concat(frames));
  }
  const requests = did.filter((event) => event.do === 'http');
  requests.forEach(request);
  const bodies = requests.filter((event) => event.method === 'POST' && payload(event).length).map(payload);
  if (bodies.length) {
    for (const options of [0, POST.chunked, POST.cut, POST.chunked | POST.cut]) {
      seedChunked('post', options | Math.min(bodies.length - 1, 3), Buffer.concat(bodies));
    }
    const head = 'POST /raw?id={id} HTTP/1.1\r\nhost: a\r\n';
    const verbatim = bodies.flatMap((body) => [Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`), body]);
    seedChunked('post', POST.verbatim, Buffer.concat(verbatim));
  }
}

/** The messages of one client, beginning with the handshake. */
function session(name, sent, reconnects) {
  const all = Buffer.concat(sent);
  seedChunked('handshake', 0, all);
  const end = all.indexOf(SEPARATOR) + 1;
  const isMessagePack = /"messagepack"/i.test(all.subarray(0, end));
  const stream = all.subarray(end);
  if (!end || !stream.length) return;
  let options = isMessagePack ? SESSION.messagePack : 0;
  if (name.startsWith('stateful/')) options |= SESSION.stateful | (reconnects ? SESSION.loses : 0);
  if (name.includes('parallel')) options |= SESSION.parallel;
  for (const attentive of [0, SESSION.attentive]) seedChunked('session', options | attentive, stream, [[], [63]]);
  if (!isMessagePack) return messages.json(stream);
  const bodies = separated(stream);
  if (bodies) seedChunked('session', options | SESSION.separated, bodies, [[]]);
  messages.messagePack(stream, bodies);
}

/** A request as text; `tests/support/src/fuzz_server.rs` defines the paths and the placeholders. */
function request({ method = 'GET', path, headers = {}, ...event }) {
  const target = path.replace(/^\/(hubs\/)?[^/?]*/i, (_, closed) => (closed ? '/closed' : '/open'));
  const fill = (text) => text.replace(/(id=)\$\{[^}]*\}/g, '$1{id}').replace(/\$\{[^}]*\}/g, '{token}');
  const line = (name) => (value) => `${name}: ${fill(value)}`;
  const lines = Object.entries(headers).flatMap(([name, value]) => [value].flat().map(line(name)));
  const text = `${[`${method} ${fill(target)}`, ...lines].join('\n')}\n\n${payload(event)}`;
  for (const each of ['token', 'negotiate', 'refresh']) seed(each, Buffer.from(text));
}

function vectors({ json, messagepack }) {
  const visit = (value, key, found) => {
    if (typeof value === 'object' && value) Object.entries(value).forEach(([name, inner]) => visit(inner, name, found));
    else if (typeof value === 'string') found(key, value);
  };
  visit(json, '', (_, text) => /^\s*[{[]/.test(text) && messages.json(Buffer.concat([Buffer.from(text), SEPARATOR])));
  visit(messagepack, '', (key, text) => {
    const body = Buffer.from(text, 'base64');
    if (key === 'base64' && body.length) messages.messagePack(framed(body), body);
  });
}

/** A message just below the default size limit, filled with repetitions of `part`. */
function filled(before, part, after = '', length = 32_000) {
  const left = length - Buffer.byteLength(before + after);
  return before + part.repeat(Math.floor(left / Buffer.byteLength(part))) + after;
}

function big(number) {
  return [number >> 8, number & 0xff];
}

function numbered(count, separator, text) {
  return Array.from({ length: count }, (_, number) => text(number)).join(separator);
}

/** Messages that are expensive if a part of them is parsed repeatedly or stored in many pieces. */
function expensiveJson() {
  const call = '{"type":1,"invocationId":"1","target":';
  for (const text of [
    filled(`${call}"${'x'.repeat(16_000)}"`, ',"arguments":[]', '}'),
    filled(`${call}"${'\u0131'.repeat(8_000)}"`, ',"arguments":[]', '}'),
    filled(`${call}"Echo"`, ',"arguments":["x"]', '}'),
    filled(`${call}"Sum","arguments":[],"streamIds":["y"`, ',"x"', ']}'),
    filled(`${call}"Echo","arguments":["x"],"headers":{"y":"z"`, ',"x":"y"', '}}'),
    filled(`${call}"EchoObject","arguments":[{"y":0`, ',"x":0', '}]}'),
    filled(`${call}"EchoObject","arguments":[`, '[', ''),
    filled(`${call}"Echo","arguments":["`, '\\u0041', '"]}'),
    filled('', '{"type":6}\x1e'),
    filled('', '{"type":2,"invocationId":"x","item":1}\x1e'),
    filled('', '{"type":3,"invocationId":"1"}\x1e'),
    filled('', '{"type":1,"target":"Add","arguments":[1,2]}\x1e'),
    filled('', '{"type":1,"target":"AskCaller","arguments":["x"]}\x1e'),
    numbered(400, '\x1e', (id) => `{"type":4,"invocationId":"${id}","target":"Counter","arguments":[8,1]}`),
    numbered(300, '\x1e', (id) => `${call}"Sum","arguments":[],"streamIds":["${id}"]}`),
  ]) {
    const stream = Buffer.from(`${text}\x1e`);
    seedChunked('session', 0, stream, [[]]);
    seedChunked('json', 0, stream, [[], [0]]);
  }
}

/** Inputs in which the server waits for acknowledgements of its messages. */
function unacknowledged() {
  const json = (members) => Buffer.from(`{"type":1,${members}}\x1e`);
  const packed = (call) => framed(Buffer.from([0x95, 1, 0x80, ...call]));
  // The Ack follows more messages than the server reads ahead.
  const upload = json('"invocationId":"1","target":"Sum","arguments":[],"streamIds":["u"]');
  const echo = json(`"invocationId":"2","target":"Echo","arguments":["${'x'.repeat(1000)}"]`);
  const items = Buffer.from('{"type":2,"invocationId":"u","item":1}\x1e'.repeat(90));
  const stream = Buffer.concat([upload, echo, items, Buffer.from('{"type":8,"sequenceId":1}\x1e')]);
  for (const options of [SESSION.stateful, SESSION.stateful | SESSION.loses]) {
    seedChunked('session', options, stream, [[127], [128]]);
  }
  // The completion is sent between two chunks of the next message: the first chunk has 640 bytes,
  // all others have one.
  const add = json('"invocationId":"3","target":"Add","arguments":[1,2]');
  const slow = (text) => json(`"invocationId":"1","target":"SlowEcho","arguments":[3,"${text}"]`);
  const packedAdd = packed([0xa1, 0x33, 0xa3, ...Buffer.from('Add'), 0x92, 1, 2]);
  const packedSlow = (text) =>
    packed([0xa1, 0x31, 0xa8, ...Buffer.from('SlowEcho'), 0x92, 3, 0xda, ...big(text.length), ...Buffer.from(text)]);
  for (const [format, first, second] of [[0, slow, add], [SESSION.messagePack, packedSlow, packedAdd]]) {
    const text = 'x'.repeat(635 + 600 - first('x'.repeat(600)).length);
    const stream = Buffer.concat([first(text), second]);
    seedChunked('session', SESSION.stateful | format, stream, [[137, ...Array(14).fill(0)]]);
  }
  // `on_connected` sends more than the message buffer holds.
  for (const options of [0, SESSION.stateful, SESSION.stateful | SESSION.attentive]) {
    seedChunked('session', SESSION.welcome | options, add, [[]]);
  }
}

function expensiveMessagePack() {
  const header = (number) => [0xa2, 0x21 + (number % 90), 0x21 + Math.floor(number / 90), 0xa1, 0x78];
  const headers = Array.from({ length: 6000 }, (_, number) => header(number)).flat();
  const streamIds = Array(15_000).fill([0xa1, 0x78]).flat();
  for (const bytes of [
    [0x95, 1, 0x80, 0xc0, 0xda, ...big(30_000), ...Array(30_000).fill(0x78), 0x90],
    [0x93, 5, 0xde, ...big(6000), ...headers, 0xa1, 0x78],
    [0x96, 1, 0x80, 0xa1, 0x31, 0xa3, ...Buffer.from('Sum'), 0x90, 0xdc, ...big(15_000), ...streamIds],
  ]) {
    const body = Buffer.from(bytes);
    messages.messagePack(framed(body), body);
    seedChunked('session', SESSION.messagePack, framed(body), [[]]);
  }
  seedChunked('session', SESSION.messagePack, Buffer.alloc(30_000, '\x02\x91\x06', 'latin1'), [[]]);
}

function frames() {
  const empty = Buffer.alloc(0);
  const continuation = frame(0, empty, { final: false });
  const text = Buffer.from('\u00e9\u20ac\u{1f600}'.repeat(12));
  for (const list of [
    [frame(1, empty, { final: false }), ...Array(2000).fill(continuation), frame(0, Buffer.from('x'))],
    Array.from({ length: 2000 }, (_, number) => frame(9, Buffer.from([number & 0xff]))),
    [
      frame(1, text.subarray(0, 61), { final: false, key: [1, 2, 3, 4] }),
      frame(9, Buffer.from('x')),
      frame(0, text.subarray(61), { key: [250, 99, 1, 0] }),
    ],
    [frame(2, text, { key: [9, 8, 7, 6] }), frame(10, text), frame(8, Buffer.from('\x03\xe9bye', 'latin1'))],
  ]) {
    seedChunked('websocket', 0, Buffer.concat(list));
  }
}

function bodies() {
  for (const rest of [
    'transfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\na: b\r\n\r\n',
    `transfer-encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(2000)}0\r\n\r\n`,
    'content-length: 9\r\n\r\nhello',
    'expect: 100-continue\r\ncontent-length: 1\r\n\r\nx',
  ]) {
    seedChunked('post', POST.verbatim, Buffer.from(`POST /raw?id={id} HTTP/1.1\r\nhost: a\r\n${rest}`));
  }
}

/** The payloads that ASP.NET Core's servers exchange, those of this crate, and long lists. */
function payloads(recorded, { redis }) {
  for (const { payload } of Object.values(recorded).flat()) seed('payload', Buffer.from(payload, 'base64'));
  for (const { hex } of Object.values(redis).flat()) if (hex) seed('payload', Buffer.from(hex, 'hex'));
  const id = 7;
  const text = (value) => [0xa0 + value.length, ...Buffer.from(value)];
  const query = (kind, ...items) => [0x93 + items.length, id, ...text('vm_1'), kind, ...items.flat()];
  const disconnect = (audience, name, ...rest) => query(5, audience, text(name), ...rest);
  const list = (count) => [0xdc, ...big(count)];
  for (const bytes of [
    query(1, text('u')),
    query(2, text('room 1')),
    query(3),
    query(4, text('room 1')),
    disconnect(0, '', [0x92, ...text('a'), ...text('b')], text('bye'), 0xc3),
    disconnect(1, 'a', 0x90, 0xc0, 0xc2),
    disconnect(2, 'room 1', [0x91, ...text('a')], 0xc0, 0xc2),
    disconnect(3, 'u', 0x90, text(''), 0xc3),
    [0x92, id, 0x92, ...text('a'), ...text('b')],
    [0x92, id, 0xcd, ...big(300)],
    [0x92, ...list(30_000), ...Array(30_000).fill(0xa0), 0x80],
    [0x92, 0x90, 0xde, ...big(10_000), ...Array(10_000).fill([0xa0, 0xc4, 0]).flat()],
    [0x92, id, ...list(30_000), ...Array(30_000).fill(0xa0)],
    [0x92, 0x90, 0x81, ...text('json'), 0xc5, ...big(30_000), ...Array(30_000).fill(0x78)],
  ]) {
    seed('payload', Buffer.from(bytes));
  }
}

const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
const transcripts = readdirSync(join(FIXTURES, 'transcripts'), { recursive: true });
for (const file of transcripts.filter((name) => name.endsWith('.json'))) {
  transcript(read(join(FIXTURES, 'transcripts', file)));
}
const allVectors = read(join(FIXTURES, 'vectors.json'));
vectors(allVectors);
payloads(read(join(FIXTURES, 'backplane/recorded.json')), allVectors);
for (const name of readdirSync(join(HERE, 'seeds'))) {
  for (const target of ['token', 'negotiate', 'refresh']) seed(target, readFileSync(join(HERE, 'seeds', name)));
}
expensiveJson();
expensiveMessagePack();
unacknowledged();
frames();
bodies();
console.log(`${count} inputs written to ${join(HERE, 'corpus')}`);
