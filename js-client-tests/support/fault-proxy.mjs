// A TCP proxy between client and server that cuts, rejects or freezes connections.
import { once } from 'node:events';
import { TcpProxy } from './tcp-proxy.mjs';

/** Matches the head of a request whose response lasts as long as the connection. */
const LONG_LIVED = /^(upgrade: websocket|accept: text\/event-stream)\r$/im;

export class FaultProxy extends TcpProxy {
  #isRejecting = false;
  #writeListeners = new Set();
  /** Number of connections rejected so far. */
  rejected = 0;

  /** Rejects new connections from now on. */
  reject() {
    this.#isRejecting = true;
  }

  /** Accepts new connections again. */
  accept() {
    this.#isRejecting = false;
  }

  /** Stops forwarding on the open WebSockets and event streams without closing them. */
  freeze() {
    for (const { clientSocket, serverSocket, isLongLived } of this.pairs) {
      if (!isLongLived) continue;
      clientSocket.pause();
      serverSocket.pause();
    }
  }

  /** Waits until the server has written `count` more times on a WebSocket or an event stream. */
  async waitForServerWrites(count) {
    await new Promise((resolve) => {
      const listener = () => {
        count -= 1;
        if (count > 0) return;
        this.#writeListeners.delete(listener);
        resolve();
      };
      this.#writeListeners.add(listener);
    });
  }

  /** Waits until `count` more connections are rejected. */
  async waitForRejections(count) {
    for (let seen = 0; seen < count; seen += 1) await once(this.server, 'rejected');
  }

  onConnection(clientSocket) {
    if (this.#isRejecting) {
      clientSocket.destroy();
      this.rejected += 1;
      this.server.emit('rejected');
      return;
    }
    const pair = this.connect(clientSocket);
    const { serverSocket } = pair;
    clientSocket.once('data', (head) => (pair.isLongLived = LONG_LIVED.test(head)));
    serverSocket.on('data', () => {
      if (!pair.isLongLived) return;
      for (const listener of [...this.#writeListeners]) listener();
    });
    for (const [from, to] of [[clientSocket, serverSocket], [serverSocket, clientSocket]]) {
      from.setNoDelay(true);
      from.pipe(to);
      // Resets are expected here; the other socket is closed in their place.
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        this.pairs.delete(pair);
      });
    }
  }
}
