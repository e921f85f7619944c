// A TCP proxy that cuts connections at an exact byte, and the seeded choices of where.
import crypto from 'node:crypto';
import { once } from 'node:events';
import { TcpProxy } from './tcp-proxy.mjs';

export class ChaosProxy extends TcpProxy {
  #armed;
  /** WebSockets so far. */
  sockets = 0;

  /**
   * Lets `bytes` more bytes through on the WebSocket that is open, `up` to the server or `down` to the client, and
   * then cuts it by a `reset`, or else by an end without a goodbye. Resolves when it is cut. With `unnoticed` the
   * server's side stays open, and nothing comes on it any more.
   */
  cutAfter({ bytes, direction, reset, unnoticed = false }) {
    return new Promise((resolve) => (this.#armed = { left: bytes, direction, reset, unnoticed, resolve }));
  }

  accepted(near) {
    const pair = this.connect(near);
    const { far } = pair;
    near.once('data', (head) => {
      pair.webSocket = /^upgrade: websocket\r$/im.test(head);
      if (pair.webSocket) this.sockets += 1;
    });
    for (const [from, to, direction] of [[near, far, 'up'], [far, near, 'down']]) {
      from.setNoDelay(true);
      from.on('data', (chunk) => this.#forward(pair, to, direction, chunk));
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => {
        if (pair.unnoticed) return;
        to.destroy();
        this.pairs.delete(pair);
      });
    }
  }

  #forward(pair, to, direction, chunk) {
    if (pair.cut) return;
    const armed = this.#armed;
    if (!pair.webSocket || armed?.direction !== direction) {
      to.write(chunk);
      return;
    }
    to.write(chunk.subarray(0, armed.left));
    armed.left -= chunk.length;
    if (armed.left > 0) return;
    this.#armed = undefined;
    pair.cut = true;
    this.#cut(pair, armed);
  }

  /** The server's side goes first: a client that comes back at once is to find that its old socket is lost. */
  async #cut(pair, { reset, unnoticed, resolve }) {
    pair.unnoticed = unnoticed;
    for (const socket of unnoticed ? [pair.near] : [pair.far, pair.near]) {
      const closed = once(socket, 'close');
      if (reset) socket.resetAndDestroy();
      else socket.destroy();
      await closed;
    }
    resolve();
  }
}

/** Choices that are the same for the same seed. */
export class Choices {
  #seed;
  #made = 0;

  constructor(seed) {
    this.#seed = String(seed);
  }

  /** A whole number from `least` to `most`. */
  between(least, most) {
    this.#made += 1;
    const digest = crypto.createHmac('sha256', this.#seed).update(String(this.#made)).digest();
    return least + (digest.readUInt32BE() % (most - least + 1));
  }

  oneOf(values) {
    return values[this.between(0, values.length - 1)];
  }
}
