// A connection that outlives its sockets, however they are cut: nothing lost, nothing doubled, all in order.
//
// CUTS=N cuts N times instead of 50; CHAOS_SEED=TEXT repeats the choices of an earlier run.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { overWebSockets } from './support/conformance.mjs';
import { ChaosProxy, Choices } from './support/chaos-proxy.mjs';
import { within } from './support/message-queue.mjs';

const CUTS = Number(process.env.CUTS ?? 50);
const SEED = process.env.CHAOS_SEED ?? crypto.randomBytes(4).toString('hex');

/** Messages sent on each course between two cuts: always more bytes than the farthest cut is away. */
const BURST = 6;
const FARTHEST_CUT = 250;

/**
 * Either side keeps 100 kB that the other has not acknowledged, and then stops until it does. Acknowledgements go
 * once a second and get lost with a socket, so after this many messages they are given a time without cuts.
 */
const UNACKNOWLEDGED = 250;
const ACKNOWLEDGED_MS = 1_500;

/** One way that numbered messages go. They must arrive as they were sent: all, once, in order. */
class Course {
  sent = 0;
  seen = 0;
  #name;
  #awaited;
  #fail;

  constructor(name, fail) {
    this.#name = name;
    this.#fail = fail;
  }

  /** The next message to send, with some `padding`. */
  next(padding) {
    this.sent += 1;
    return `${this.sent} ${'.'.repeat(padding)}`;
  }

  arrived(text) {
    const number = Number.parseInt(text, 10);
    if (number !== this.seen + 1) this.#fail(new Error(`${this.#name}: ${number} came after ${this.seen}`));
    this.seen = number;
    this.#awaited?.();
  }

  toString() {
    return `${this.#name}: ${this.seen} of ${this.sent}`;
  }

  /** Waits until all that was sent so far has arrived. */
  async all() {
    const last = this.sent;
    while (this.seen < last) await new Promise((resolve) => (this.#awaited = resolve));
  }
}

overWebSockets(`nothing is lost, doubled or out of order over ${CUTS} cuts`, async ({ connect, proxy, protocol }) => {
  const choices = new Choices(`${SEED} ${protocol}`);
  const between = await proxy(ChaosProxy);
  const client = await connect('/stateful', { via: between.url, stateful: true });
  const other = await connect('/stateful');
  const id = client.id;

  let fail;
  const failed = new Promise((_, reject) => (fail = reject));
  // Only what is awaited may reject.
  failed.catch(() => {});
  client.hub.onclose((error) => fail(new Error(`the connection ended: ${error?.message}`)));
  const [up, down, answers] = ['to the server', 'to the client', 'answers'].map((name) => new Course(name, fail));
  other.hub.on('Message', (text) => up.arrived(text));
  client.hub.on('Message', (text) => down.arrived(text));
  const padding = () => choices.between(10, 40);
  const sends = [
    () => client.send('ToClient', other.id, up.next(padding())).catch(fail),
    () => other.send('ToClient', id, down.next(padding())).catch(fail),
    () => client.hub.invoke('Echo', answers.next(padding())).then((text) => answers.arrived(text), fail),
  ];
  const allArrived = (when) =>
    within(Promise.race([failed, Promise.all([up.all(), down.all(), answers.all()])]), `all messages ${when}`);

  let [cut, acknowledged] = [0, 0];
  try {
    for (cut = 1; cut <= CUTS; cut += 1) {
      if (answers.sent > acknowledged + UNACKNOWLEDGED) {
        await within(Promise.race([failed, client.invoke('Slow', ACKNOWLEDGED_MS, 0)]), 'an answer that takes a while');
        acknowledged = answers.sent;
      }
      // What was sent after the last cut has gone both ways: resuming is over, and the next cut tests the next one.
      for (const send of sends) send();
      await allArrived(`before cut ${cut}`);
      const where = {
        bytes: choices.between(1, FARTHEST_CUT),
        direction: choices.oneOf(['up', 'down']),
        reset: choices.oneOf([true, false]),
      };
      const done = between.cutAfter(where);
      for (let count = 0; count < BURST; count += 1) for (const send of sends) send();
      await within(Promise.race([failed, done]), `cut ${cut}`);
    }
    await allArrived('after the last cut');
  } catch (error) {
    const places = [up, down, answers].join(', ');
    throw new Error(`CHAOS_SEED=${SEED}, ${protocol}, cut ${cut}: ${error.message} (${places})`, { cause: error });
  }
  assert.equal(between.sockets, CUTS + 1);
  assert.equal(client.id, id);
  assert.equal(await client.invoke('ConnectionId'), id);
  assert.equal(client.reconnecting.size + client.reconnected.size, 0);
}, { timeout: 60_000 + CUTS * 200 });
