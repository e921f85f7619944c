// An HTTP proxy between a client and the server. It sees every request, and can answer, cut or hold some itself.
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { within } from './message-queue.mjs';

/** What a request to a hub is for. */
export const Kind = {
  negotiate: 'negotiate',
  webSocket: 'WebSockets',
  events: 'ServerSentEvents',
  poll: 'LongPolling',
  send: 'send',
  end: 'end',
  preflight: 'preflight',
};

/** Returned by a rule: the socket is destroyed without an answer. */
export const CUT = Symbol('cut');

export class Front {
  #server;
  #target;
  #sockets = new Set();
  #open = new Set();
  /** Every request so far, as `{ kind, method, url, headers, status }`; `status` is there once it was answered. */
  requests = [];

  /**
   * Listens on a free port in front of the server at `target`, a URL. `rule` sees each request first and returns
   * `undefined` to let it through, `{ url }` to let it through as a request of another path and query, `CUT`, an answer
   * as `{ status, headers, body }`, or a promise of one of these.
   * It may be replaced at any time.
   */
  static async before(target, rule = () => undefined) {
    const front = new Front();
    front.rule = rule;
    front.#target = new URL(target);
    front.#server = http.createServer((request, response) => front.#pass(request, response));
    front.#server.on('upgrade', (request, socket, head) => front.#upgrade(request, socket, head));
    front.#server.on('connection', (socket) => {
      front.#sockets.add(socket);
      socket.on('close', () => front.#sockets.delete(socket));
    });
    front.#server.listen(0, '127.0.0.1');
    await once(front.#server, 'listening');
    return front;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** The kinds of the requests so far, in order. */
  get kinds() {
    return this.requests.map(({ kind }) => kind);
  }

  count(kind) {
    return this.requests.filter((request) => request.kind === kind).length;
  }

  /**
   * Waits until a request of `kind` is under way: a WebSocket or an event stream that was opened, or a poll that the
   * server keeps. Returns it, with its `url`; its `cut()` destroys its sockets on both sides.
   */
  async underWay(kind) {
    const found = () => [...this.#open].find((exchange) => exchange.kind === kind);
    return within(this.#until(found), `a request of kind ${kind} to be under way`);
  }

  /** Waits until `count` requests of `kind` have come. */
  async arrived(kind, count = 1) {
    return within(this.#until(() => this.count(kind) >= count), `${count} requests of kind ${kind}`);
  }

  /**
   * Waits until `transport` is under way, and ends its connection for good: browsers repeat a request that failed on a
   * socket that was used before.
   */
  async lose(transport) {
    const carrier = await this.underWay(transport);
    const lost = connectionOf(carrier);
    this.rule = (request) => (connectionOf(request) === lost ? CUT : undefined);
    carrier.cut();
  }

  async close() {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #until(found) {
    for (;;) {
      const value = found();
      if (value) return value;
      await once(this.#server, 'changed');
    }
  }

  #note(request, kind) {
    const { method, url, headers } = request;
    const note = { kind, method, url, headers };
    this.requests.push(note);
    this.#server.emit('changed');
    return note;
  }

  #opened({ kind, url }, ...sockets) {
    const exchange = { kind, url, cut: () => sockets.forEach((socket) => socket.destroy()) };
    this.#open.add(exchange);
    this.#server.emit('changed');
    return () => this.#open.delete(exchange);
  }

  async #pass(request, response) {
    const kind = kindOf(request);
    const note = this.#note(request, kind);
    const ruled = await this.rule(note);
    if (ruled === CUT) return request.socket.destroy();
    if (ruled?.status) {
      note.status = ruled.status;
      response.writeHead(ruled.status, ruled.headers);
      return response.end(ruled.body);
    }
    const { method, headers } = request;
    const { url } = ruled ?? request;
    const onward = http.request(new URL(url, this.#target), { method, headers, agent: false });
    // A side that breaks off takes the other with it.
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    let over = () => {};
    if (kind === Kind.poll) over = this.#opened(note, request.socket, onward);
    response.on('close', () => over());
    onward.on('response', (answer) => {
      note.status = answer.statusCode;
      if (kind === Kind.events) over = this.#opened(note, request.socket, onward);
      response.writeHead(answer.statusCode, answer.statusMessage, answer.rawHeaders);
      // An event stream has headers long before it has a body.
      response.flushHeaders();
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    request.pipe(onward);
  }

  async #upgrade(request, near, head) {
    const note = this.#note(request, Kind.webSocket);
    near.on('error', () => {});
    const ruled = await this.rule(note);
    if (ruled === CUT) return near.destroy();
    if (ruled?.status) {
      note.status = ruled.status;
      const line = `HTTP/1.1 ${ruled.status} ${http.STATUS_CODES[ruled.status]}`;
      return near.end(`${line}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
    }
    const far = net.connect(Number(this.#target.port), this.#target.hostname);
    const lines = [`${request.method} ${(ruled ?? request).url} HTTP/1.1`];
    for (let at = 0; at < request.rawHeaders.length; at += 2) {
      lines.push(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}`);
    }
    far.write(`${lines.join('\r\n')}\r\n\r\n`);
    far.write(head);
    far.once('data', (answer) => {
      note.status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
      const over = this.#opened(note, near, far);
      near.on('close', over);
    });
    for (const [from, to] of [[near, far], [far, near]]) {
      from.setNoDelay(true);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  }
}

/** The connection token in the URL of a request. */
const connectionOf = ({ url }) => new URL(url, 'http://front').searchParams.get('id');

function kindOf({ method, url, headers }) {
  if (method === 'OPTIONS') return Kind.preflight;
  if (method === 'DELETE') return Kind.end;
  if (method === 'POST') return /\/negotiate(\?|$)/.test(url) ? Kind.negotiate : Kind.send;
  return headers.accept === 'text/event-stream' ? Kind.events : Kind.poll;
}
