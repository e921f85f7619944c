// Base class of the TCP proxies: listens, connects to the server and keeps the pairs of sockets.
import { once } from 'node:events';
import net from 'node:net';

export class TcpProxy {
  /**
   * The client's and the server's socket of each connection, and the state that a subclass adds.
   */
  pairs = new Set();
  server;
  target;

  /** Listens on a free port and forwards to the server at `target`, a URL. */
  static async start(target) {
    const proxy = new this();
    proxy.target = new URL(target);
    proxy.server = net.createServer((clientSocket) => proxy.onConnection(clientSocket));
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  /**
   * Cuts every connection: destroys the sockets on both sides, as a network failure or a killed
   * proxy does.
   */
  cut() {
    for (const { clientSocket, serverSocket } of this.pairs) {
      clientSocket.destroy();
      serverSocket.destroy();
    }
  }

  async close() {
    const closed = once(this.server, 'close');
    this.server.close();
    this.cut();
    await closed;
  }

  /** Opens the connection to the server that belongs to `clientSocket`. */
  connect(clientSocket) {
    const serverSocket = net.connect(Number(this.target.port), this.target.hostname);
    const pair = { clientSocket, serverSocket };
    this.pairs.add(pair);
    return pair;
  }
}
