// An HTTP proxy between client and server. It records each request, and can answer, cut or delay
// it.
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { withTimeout } from './message-queue.mjs';

/** Purpose of a request to a hub. */
export const RequestKind = {
  negotiate: 'negotiate',
  webSocket: 'WebSockets',
  events: 'ServerSentEvents',
  poll: 'LongPolling',
  send: 'send',
  delete: 'delete',
  preflight: 'preflight',
};

/** Returned by a rule: destroys the socket without a response. */
export const CUT = Symbol('cut');

export class HttpProxy {
  #server;
  #target;
  #sockets = new Set();
  #active = new Set();
  /**
   * All requests so far, as `{ kind, method, url, headers, status }`; `status` is set once the
   * response has begun.
   */
  requests = [];

  /**
   * Listens on a free port and forwards to the server at `target`, a URL. `rule` is called with
   * each request and decides what happens to it. It returns `undefined` to forward the request, `{
   * url }` to forward it with another path and query, `CUT`, a response as `{ status, headers, body
   * }`, or a promise of one of these. The property `rule` can be replaced at any time.
   */
  static async start(target, rule = () => undefined) {
    const proxy = new HttpProxy();
    proxy.rule = rule;
    proxy.#target = new URL(target);
    proxy.#server = http.createServer((request, response) => proxy.#forward(request, response));
    proxy.#server.on('upgrade', (request, socket, head) => proxy.#upgrade(request, socket, head));
    proxy.#server.on('connection', (socket) => {
      proxy.#sockets.add(socket);
      socket.on('close', () => proxy.#sockets.delete(socket));
    });
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** The kinds of all requests so far, in order. */
  get kinds() {
    return this.requests.map(({ kind }) => kind);
  }

  count(kind) {
    return this.requests.filter((request) => request.kind === kind).length;
  }

  /**
   * Waits for an active exchange of `kind`: an open WebSocket or event stream, or a poll without a
   * response yet. Returns it, with its `url` and with `cut()`, which destroys its sockets on both
   * sides.
   */
  async waitForActive(kind) {
    const find = () => [...this.#active].find((exchange) => exchange.kind === kind);
    return withTimeout(this.#waitUntil(find), `an active exchange of kind ${kind}`);
  }

  /** Waits until `count` requests of `kind` have been received. */
  async waitForRequests(kind, count = 1) {
    return withTimeout(this.#waitUntil(() => this.count(kind) >= count), `${count} requests of kind ${kind}`);
  }

  /**
   * Waits for an active exchange of `transport`, cuts it, and cuts all later requests of its
   * connection: browsers repeat a request that failed on a reused socket.
   */
  async disconnect(transport) {
    const exchange = await this.waitForActive(transport);
    const connection = connectionToken(exchange);
    this.rule = (request) => (connectionToken(request) === connection ? CUT : undefined);
    exchange.cut();
  }

  async close() {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #waitUntil(find) {
    for (;;) {
      const value = find();
      if (value) return value;
      await once(this.#server, 'changed');
    }
  }

  #record(request, kind) {
    const { method, url, headers } = request;
    const record = { kind, method, url, headers };
    this.requests.push(record);
    this.#server.emit('changed');
    return record;
  }

  #activate({ kind, url }, ...sockets) {
    const exchange = { kind, url, cut: () => sockets.forEach((socket) => socket.destroy()) };
    this.#active.add(exchange);
    this.#server.emit('changed');
    return () => this.#active.delete(exchange);
  }

  async #forward(request, response) {
    const kind = kindOf(request);
    const record = this.#record(request, kind);
    const action = await this.rule(record);
    if (action === CUT) return request.socket.destroy();
    if (action?.status) {
      record.status = action.status;
      response.writeHead(action.status, action.headers);
      return response.end(action.body);
    }
    const { method, headers } = request;
    const { url } = action ?? request;
    const upstream = http.request(new URL(url, this.#target), { method, headers, agent: false });
    // When one side fails, the other is closed.
    upstream.on('error', () => response.destroy());
    response.on('close', () => upstream.destroy());
    let deactivate = () => {};
    if (kind === RequestKind.poll) deactivate = this.#activate(record, request.socket, upstream);
    response.on('close', () => deactivate());
    upstream.on('response', (answer) => {
      record.status = answer.statusCode;
      if (kind === RequestKind.events) deactivate = this.#activate(record, request.socket, upstream);
      response.writeHead(answer.statusCode, answer.statusMessage, answer.rawHeaders);
      // The body of an event stream may begin long after its headers.
      response.flushHeaders();
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    request.pipe(upstream);
  }

  async #upgrade(request, clientSocket, head) {
    const record = this.#record(request, RequestKind.webSocket);
    clientSocket.on('error', () => {});
    const action = await this.rule(record);
    if (action === CUT) return clientSocket.destroy();
    if (action?.status) {
      record.status = action.status;
      const line = `HTTP/1.1 ${action.status} ${http.STATUS_CODES[action.status]}`;
      return clientSocket.end(`${line}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
    }
    const serverSocket = net.connect(Number(this.#target.port), this.#target.hostname);
    const lines = [`${request.method} ${(action ?? request).url} HTTP/1.1`];
    for (let at = 0; at < request.rawHeaders.length; at += 2) {
      lines.push(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}`);
    }
    serverSocket.write(`${lines.join('\r\n')}\r\n\r\n`);
    serverSocket.write(head);
    serverSocket.once('data', (answer) => {
      record.status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
      clientSocket.on('close', this.#activate(record, clientSocket, serverSocket));
    });
    for (const [from, to] of [[clientSocket, serverSocket], [serverSocket, clientSocket]]) {
      from.setNoDelay(true);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  }
}

/** Returns the connection token in the URL of a request. */
const connectionToken = ({ url }) => new URL(url, 'http://proxy').searchParams.get('id');

function kindOf({ method, url, headers }) {
  if (method === 'OPTIONS') return RequestKind.preflight;
  if (method === 'DELETE') return RequestKind.delete;
  if (method === 'POST') return /\/negotiate(\?|$)/.test(url) ? RequestKind.negotiate : RequestKind.send;
  return headers.accept === 'text/event-stream' ? RequestKind.events : RequestKind.poll;
}
