// The TCP proxy under those that cut, refuse or freeze what passes through them.
import { once } from 'node:events';
import net from 'node:net';

export class TcpProxy {
  /** Both sockets of each connection, and what a proxy knows of it. */
  pairs = new Set();
  server;
  target;

  /** Listens on a free port in front of the server at `target`, a URL. */
  static async before(target) {
    const proxy = new this();
    proxy.target = new URL(target);
    proxy.server = net.createServer((near) => proxy.accepted(near));
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  /** Destroys every socket on both sides, as a lost network or a killed proxy does. */
  cut() {
    for (const { near, far } of this.pairs) {
      near.destroy();
      far.destroy();
    }
  }

  async close() {
    const closed = once(this.server, 'close');
    this.server.close();
    this.cut();
    await closed;
  }

  /** Connects to the server for a client that has come. */
  connect(near) {
    const far = net.connect(Number(this.target.port), this.target.hostname);
    const pair = { near, far };
    this.pairs.add(pair);
    return pair;
  }
}
