// Stateful reconnect while WebSockets are cut at random bytes: no message is lost, duplicated or
// reordered.
//
// CUTS=N cuts N times instead of 50. CHAOS_SEED=TEXT repeats the random choices of an earlier run.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { overWebSockets } from './support/conformance.mjs';
import { ChaosProxy, SeededRandom } from './support/chaos-proxy.mjs';
import { withTimeout } from './support/message-queue.mjs';

const CUTS = Number(process.env.CUTS ?? 50);
const SEED = process.env.CHAOS_SEED ?? crypto.randomBytes(4).toString('hex');

/**
 * Messages sent in each sequence between two cuts. They always have more bytes than
 * `MAX_CUT_DISTANCE_BYTES`.
 */
const BURST_MESSAGES = 6;
const MAX_CUT_DISTANCE_BYTES = 250;

/**
 * Each side buffers up to 100 kB of unacknowledged messages and then stops sending.
 * Acknowledgements are sent once a second and are lost with a socket. Therefore the test makes a
 * pause without cuts after this many messages.
 */
const MAX_UNACKNOWLEDGED_MESSAGES = 250;
const ACKNOWLEDGEMENT_PAUSE_MS = 1_500;

/** A sequence of numbered messages in one direction. Each must arrive once and in order. */
class MessageSequence {
  sent = 0;
  received = 0;
  #name;
  #onReceived;
  #fail;

  constructor(name, fail) {
    this.#name = name;
    this.#fail = fail;
  }

  /** Returns the next message to send, with `padding` more characters. */
  next(padding) {
    this.sent += 1;
    return `${this.sent} ${'.'.repeat(padding)}`;
  }

  receive(text) {
    const number = Number.parseInt(text, 10);
    if (number !== this.received + 1) this.#fail(new Error(`${this.#name}: ${number} after ${this.received}`));
    this.received = number;
    this.#onReceived?.();
  }

  toString() {
    return `${this.#name}: ${this.received} of ${this.sent}`;
  }

  /** Waits until all messages sent so far have been received. */
  async all() {
    const last = this.sent;
    while (this.received < last) await new Promise((resolve) => (this.#onReceived = resolve));
  }
}

overWebSockets(`no message is lost, duplicated or reordered over ${CUTS} cuts`, async (fixture) => {
  const { connect, tcpProxy, protocol } = fixture;
  const random = new SeededRandom(`${SEED} ${protocol}`);
  const proxy = await tcpProxy(ChaosProxy);
  const client = await connect('/stateful', { via: proxy.url, stateful: true });
  const other = await connect('/stateful');
  const id = client.id;

  let fail;
  const failed = new Promise((_, reject) => (fail = reject));
  // Prevents an unhandled rejection while nothing awaits it.
  failed.catch(() => {});
  client.hub.onclose((error) => fail(new Error(`the connection ended: ${error?.message}`)));
  const [up, down, results] = ['to the server', 'to the client', 'results'].map(
    (name) => new MessageSequence(name, fail),
  );
  other.hub.on('Message', (text) => up.receive(text));
  client.hub.on('Message', (text) => down.receive(text));
  const padding = () => random.integer(10, 40);
  const sends = [
    () => client.send('ToClient', other.id, up.next(padding())).catch(fail),
    () => other.send('ToClient', id, down.next(padding())).catch(fail),
    () => client.hub.invoke('Echo', results.next(padding())).then((text) => results.receive(text), fail),
  ];
  const allReceived = (when) =>
    withTimeout(Promise.race([failed, Promise.all([up.all(), down.all(), results.all()])]), `all messages ${when}`);

  let [cut, acknowledged] = [0, 0];
  try {
    for (cut = 1; cut <= CUTS; cut += 1) {
      if (results.sent > acknowledged + MAX_UNACKNOWLEDGED_MESSAGES) {
        const pause = client.invoke('Slow', ACKNOWLEDGEMENT_PAUSE_MS, 0);
        await withTimeout(Promise.race([failed, pause]), 'the result of a slow invocation');
        acknowledged = results.sent;
      }
      // Once messages sent after the last cut have arrived in both directions, the client has
      // resumed. A cut before that would break the attempt to resume, which the client makes once.
      for (const send of sends) send();
      await allReceived(`before cut ${cut}`);
      const where = {
        bytes: random.integer(1, MAX_CUT_DISTANCE_BYTES),
        direction: random.oneOf(['up', 'down']),
        reset: random.oneOf([true, false]),
      };
      const done = proxy.cutAfter(where);
      for (let count = 0; count < BURST_MESSAGES; count += 1) for (const send of sends) send();
      await withTimeout(Promise.race([failed, done]), `cut ${cut}`);
    }
    await allReceived('after the last cut');
  } catch (error) {
    const progress = [up, down, results].join(', ');
    throw new Error(`CHAOS_SEED=${SEED}, ${protocol}, cut ${cut}: ${error.message} (${progress})`, { cause: error });
  }
  assert.equal(proxy.webSockets, CUTS + 1);
  assert.equal(client.id, id);
  assert.equal(await client.invoke('ConnectionId'), id);
  assert.equal(client.reconnecting.size + client.reconnected.size, 0);
}, { timeout: 60_000 + CUTS * 200 });
