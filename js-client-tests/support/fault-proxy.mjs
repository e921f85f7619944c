// A TCP proxy between a client and the server, which can cut, refuse or freeze what passes through it.
import { once } from 'node:events';
import { TcpProxy } from './tcp-proxy.mjs';

/** In the head of a request that is answered for as long as the connection lives. */
const STREAM = /^(upgrade: websocket|accept: text\/event-stream)\r$/im;

export class Proxy extends TcpProxy {
  #refusing = false;
  #watchers = new Set();
  /** Connections refused so far. */
  refused = 0;

  /** Refuses new connections from now on. */
  refuse() {
    this.#refusing = true;
  }

  /** Accepts new connections again. */
  accept() {
    this.#refusing = false;
  }

  /** Keeps the WebSockets and event streams open, but lets nothing more through on any of them. */
  freeze() {
    for (const { near, far, stream } of this.pairs) {
      if (!stream) continue;
      near.pause();
      far.pause();
    }
  }

  /** Waits for the server to write `count` more times on a WebSocket or an event stream. */
  async serverWrites(count) {
    await new Promise((resolve) => {
      const watcher = () => {
        count -= 1;
        if (count > 0) return;
        this.#watchers.delete(watcher);
        resolve();
      };
      this.#watchers.add(watcher);
    });
  }

  /** Waits for `count` more refused connections. */
  async refusals(count) {
    for (let seen = 0; seen < count; seen += 1) await once(this.server, 'refused');
  }

  accepted(near) {
    if (this.#refusing) {
      near.destroy();
      this.refused += 1;
      this.server.emit('refused');
      return;
    }
    const pair = this.connect(near);
    const { far } = pair;
    near.once('data', (head) => (pair.stream = STREAM.test(head)));
    far.on('data', () => {
      if (!pair.stream) return;
      for (const watcher of [...this.#watchers]) watcher();
    });
    for (const [from, to] of [[near, far], [far, near]]) {
      from.setNoDelay(true);
      from.pipe(to);
      // A reset is one of the things this proxy is for; the other side learns of it by its own end.
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        this.pairs.delete(pair);
      });
    }
  }
}
