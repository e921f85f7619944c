// What one client received under one name, in order, and a way to wait for it that fails with a readable text.

/** Longest wait for one expected thing. Nothing expected takes this long; a test that waits it out has failed. */
export const PATIENCE_MS = 20_000;

export class Mailbox {
  #items = [];
  #waiting = [];
  #name;

  constructor(name) {
    this.#name = name;
  }

  push(item) {
    const taker = this.#waiting.shift();
    if (taker) taker(item);
    else this.#items.push(item);
  }

  /** How many items nobody has taken yet. */
  get size() {
    return this.#items.length;
  }

  /** The next item, waiting for it. */
  async next() {
    if (this.#items.length > 0) return this.#items.shift();
    return within(new Promise((resolve) => this.#waiting.push(resolve)), `'${this.#name}' to be received`);
  }

  /**
   * Everything up to the first `marker`, without it. Messages to one connection keep their order, so what is
   * missing here was not delivered: this is how tests prove an absence without a sleep.
   */
  async until(marker) {
    const before = [];
    for (;;) {
      const item = await this.next();
      if (item === marker) return before;
      before.push(item);
    }
  }
}

/** `promise`, or a rejection naming `what` when it takes longer than anything in these tests may. */
export async function within(promise, what, patience = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patience} ms in vain for ${what}`)), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
