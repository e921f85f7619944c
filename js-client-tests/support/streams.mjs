// Reads a server stream in a test: its items in order, and its end.
import { withTimeout } from './message-queue.mjs';

export class ReceivedStream {
  /** All items received so far. */
  items = [];
  #takenCount = 0;
  #end;
  #method;
  #changed = () => {};
  #subscription;

  /** Subscribes to `stream`, the stream of `method`. */
  constructor(method, stream) {
    this.#method = method;
    const notifying = (update) => (value) => {
      update(value);
      this.#changed();
    };
    this.#subscription = stream.subscribe({
      next: notifying((item) => this.items.push(item)),
      complete: notifying(() => (this.#end = {})),
      error: notifying((error) => (this.#end = { error })),
    });
  }

  /** Takes the next item; waits for it if necessary. */
  async next() {
    await this.#waitUntil(() => this.#takenCount < this.items.length || this.#end, 'an item');
    if (this.#takenCount === this.items.length) {
      throw new Error(`stream ${this.#method} has ended`, { cause: this.#end.error });
    }
    this.#takenCount += 1;
    return this.items[this.#takenCount - 1];
  }

  /** Waits for the end of the stream and returns all items. Throws the stream's error. */
  async all() {
    const { error } = await this.end();
    if (error) throw error;
    return this.items;
  }

  /** Waits for the end of the stream and returns it as `{ error }`. */
  async end() {
    await this.#waitUntil(() => this.#end, 'the end');
    return this.#end;
  }

  /** Sends `CancelInvocation`. */
  cancel() {
    this.#subscription.dispose();
  }

  async #waitUntil(condition, what) {
    const met = async () => {
      while (!condition()) await new Promise((resolve) => (this.#changed = resolve));
    };
    await withTimeout(met(), `${what} of stream ${this.#method}`);
  }
}
