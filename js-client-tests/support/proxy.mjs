// A TCP proxy between a client and the server, which can cut, refuse or freeze what passes through it.
import net from 'node:net';
import { once } from 'node:events';

/** In the head of a request that is answered for as long as the connection lives. */
const STREAM = /^(upgrade: websocket|accept: text\/event-stream)\r$/im;

export class Proxy {
  #server;
  #target;
  #pairs = new Set();
  #refusing = false;
  #watchers = new Set();
  /** Connections refused so far. */
  refused = 0;

  /** Listens on a free port in front of the server at `target`, a URL. */
  static async before(target) {
    const proxy = new Proxy();
    proxy.#target = new URL(target);
    proxy.#server = net.createServer((near) => proxy.#accept(near));
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Destroys every socket on both sides, as a lost network or a killed proxy does. */
  cut() {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

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
    for (const { near, far, stream } of this.#pairs) {
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
    for (let seen = 0; seen < count; seen += 1) await once(this.#server, 'refused');
  }

  async close() {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  #accept(near) {
    if (this.#refusing) {
      near.destroy();
      this.refused += 1;
      this.#server.emit('refused');
      return;
    }
    const far = net.connect(Number(this.#target.port), this.#target.hostname);
    const pair = { near, far };
    this.#pairs.add(pair);
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
        this.#pairs.delete(pair);
      });
    }
  }
}
