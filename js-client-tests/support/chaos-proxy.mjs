// A TCP proxy that cuts a WebSocket at an exact byte, and a seeded generator that chooses where.
import crypto from 'node:crypto';
import { once } from 'node:events';
import { TcpProxy } from './tcp-proxy.mjs';

export class ChaosProxy extends TcpProxy {
  #pendingCut;
  /** Number of WebSockets accepted so far. */
  webSockets = 0;

  /**
   * Forwards `bytes` more bytes on the open WebSocket in one direction, `up` (to the server) or
   * `down` (to the client), and then cuts it: with a TCP reset if `reset` is set, else with a FIN
   * and no close frame. Resolves after the cut. With `clientOnly` the server's socket stays open,
   * but receives nothing more.
   */
  cutAfter({ bytes, direction, reset, clientOnly = false }) {
    return new Promise((resolve) => (this.#pendingCut = { left: bytes, direction, reset, clientOnly, resolve }));
  }

  onConnection(clientSocket) {
    const pair = this.connect(clientSocket);
    const { serverSocket } = pair;
    clientSocket.once('data', (head) => {
      pair.isWebSocket = /^upgrade: websocket\r$/im.test(head);
      if (pair.isWebSocket) this.webSockets += 1;
    });
    for (const [from, to, direction] of [[clientSocket, serverSocket, 'up'], [serverSocket, clientSocket, 'down']]) {
      from.setNoDelay(true);
      from.on('data', (chunk) => this.#forward(pair, to, direction, chunk));
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => {
        if (pair.clientOnly) return;
        to.destroy();
        this.pairs.delete(pair);
      });
    }
  }

  #forward(pair, to, direction, chunk) {
    if (pair.isCut) return;
    const cut = this.#pendingCut;
    if (!pair.isWebSocket || cut?.direction !== direction) {
      to.write(chunk);
      return;
    }
    to.write(chunk.subarray(0, cut.left));
    cut.left -= chunk.length;
    if (cut.left > 0) return;
    this.#pendingCut = undefined;
    pair.isCut = true;
    this.#cut(pair, cut);
  }

  /**
   * Closes the server's socket first, so that the server has lost the old socket when the client
   * reconnects.
   */
  async #cut(pair, { reset, clientOnly, resolve }) {
    pair.clientOnly = clientOnly;
    for (const socket of clientOnly ? [pair.clientSocket] : [pair.serverSocket, pair.clientSocket]) {
      const closed = once(socket, 'close');
      if (reset) socket.resetAndDestroy();
      else socket.destroy();
      await closed;
    }
    resolve();
  }
}

/** Pseudorandom choices; the same seed gives the same sequence. */
export class SeededRandom {
  #seed;
  #count = 0;

  constructor(seed) {
    this.#seed = String(seed);
  }

  /** An integer from `min` to `max`, both included. */
  integer(min, max) {
    this.#count += 1;
    const digest = crypto.createHmac('sha256', this.#seed).update(String(this.#count)).digest();
    return min + (digest.readUInt32BE() % (max - min + 1));
  }

  oneOf(values) {
    return values[this.integer(0, values.length - 1)];
  }
}
