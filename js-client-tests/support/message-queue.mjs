// A queue of received messages that tests can wait on, and a timeout with a readable error.

/**
 * Longest wait for one expected event. It is far above any real duration, so that reaching it is a
 * failure.
 */
export const TIMEOUT_MS = 20_000;

/** Messages that one client received under one name, in order. */
export class MessageQueue {
  #items = [];
  #waiting = [];
  #name;

  constructor(name) {
    this.#name = name;
  }

  push(item) {
    const resolve = this.#waiting.shift();
    if (resolve) resolve(item);
    else this.#items.push(item);
  }

  /** Number of messages that were received and not taken yet. */
  get size() {
    return this.#items.length;
  }

  /** Takes the next message; waits for it if necessary. */
  async next() {
    if (this.#items.length > 0) return this.#items.shift();
    return withTimeout(new Promise((resolve) => this.#waiting.push(resolve)), `'${this.#name}'`);
  }

  /**
   * Takes all messages up to the first `marker` and returns those before it. Messages to one
   * connection keep their order, so a message that is not among them was not sent. Tests show in
   * this way, without a sleep, that a message does not arrive.
   */
  async takeUntil(marker) {
    const before = [];
    for (;;) {
      const item = await this.next();
      if (item === marker) return before;
      before.push(item);
    }
  }
}

/** Resolves as `promise` does; rejects with an error that names `what` after `milliseconds`. */
export async function withTimeout(promise, what, milliseconds = TIMEOUT_MS) {
  let timer;
  const timeout = new Promise((_, reject) => {
    const error = new Error(`timed out after ${milliseconds} ms: waiting for ${what}`);
    timer = setTimeout(() => reject(error), milliseconds);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
