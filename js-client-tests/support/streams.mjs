// What one stream from the server brought, in order, and how it ended.
import { within } from './message-queue.mjs';

export class Streamed {
  /** All items so far. */
  items = [];
  #taken = 0;
  #ended;
  #method;
  #changed = () => {};
  #subscription;

  /** Subscribes to `stream`, which is that of `method`. */
  constructor(method, stream) {
    this.#method = method;
    const change = (happen) => (value) => {
      happen(value);
      this.#changed();
    };
    this.#subscription = stream.subscribe({
      next: change((item) => this.items.push(item)),
      complete: change(() => (this.#ended = {})),
      error: change((error) => (this.#ended = { error })),
    });
  }

  /** The next item that this has not returned yet. */
  async next() {
    await this.#until(() => this.#taken < this.items.length || this.#ended, 'an item');
    if (this.#taken === this.items.length) throw new Error(`${this.#method} ended`, { cause: this.#ended.error });
    this.#taken += 1;
    return this.items[this.#taken - 1];
  }

  /** All items, once the stream has ended without an error. */
  async all() {
    const { error } = await this.end();
    if (error) throw error;
    return this.items;
  }

  /** How the stream ended, as `{ error }`. */
  async end() {
    await this.#until(() => this.#ended, 'the end');
    return this.#ended;
  }

  /** Tells the server that nobody wants more of it. */
  cancel() {
    this.#subscription.dispose();
  }

  async #until(condition, what) {
    const held = async () => {
      while (!condition()) await new Promise((resolve) => (this.#changed = resolve));
    };
    await within(held(), `${what} of the stream ${this.#method}`);
  }
}
