// What one run of a test body has: a server, a transport, a protocol, and the clients it made.
import { createRequire } from 'node:module';
import { HttpTransportType, HubConnectionBuilder, JsonHubProtocol, LogLevel } from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';
import { Front } from './http-proxy.mjs';
import { Mailbox, within } from './message-queue.mjs';
import { Proxy } from './fault-proxy.mjs';
import { Streamed } from './streams.mjs';

/** The event source that the client itself takes in Node. */
const EventSource = createRequire(import.meta.resolve('@microsoft/signalr'))('eventsource');
const PROTOCOLS = { json: JsonHubProtocol, messagepack: MessagePackHubProtocol };

export class World {
  /** The transports on which the token travels in the query: what asks for events can set no header. */
  tokenInQuery = ['ServerSentEvents'];
  #clients = [];
  #between = [];
  #sources = new Set();

  /** Without a `transport`, clients take the first that works. */
  constructor(url, transport, protocol) {
    this.url = url;
    this.transport = transport;
    this.protocol = protocol;
  }

  /**
   * A client that is not started.
   * `token` is a token or an access token factory; `reconnect` the delays of automatic reconnect, or `true` for
   * the client's own; `via` another server URL, such as a proxy's; `stateful` asks for stateful reconnect;
   * `protocol` is another hub protocol; `options` what `withUrl` takes besides.
   */
  client = (path, settings = {}) => {
    const client = new Client(this.build(path, settings));
    this.#clients.push(client);
    return client;
  };

  /** The `HubConnection` under a client. */
  build(path, { token, reconnect, via = this.url, stateful, protocol, options = {} }) {
    const builder = new HubConnectionBuilder()
      .withUrl(via + path, {
        ...(this.transport === undefined ? {} : { transport: HttpTransportType[this.transport] }),
        ...(token === undefined ? {} : { accessTokenFactory: typeof token === 'function' ? token : () => token }),
        EventSource: this.#remembering(),
        ...options,
      })
      .withHubProtocol(protocol ?? new PROTOCOLS[this.protocol]())
      .configureLogging(process.env.CLIENT_LOG ? LogLevel.Debug : LogLevel.None);
    if (reconnect) builder.withAutomaticReconnect(...(reconnect === true ? [] : [reconnect]));
    if (stateful) builder.withStatefulReconnect();
    return builder.build();
  }

  /** A started client. */
  connect = async (path, settings) => {
    const client = this.client(path, settings);
    await client.start();
    return client;
  };

  /** A TCP proxy before the server, of class `Kind`. */
  proxy = async (Kind = Proxy) => this.#use(await Kind.before(this.url));

  /** An HTTP proxy before the server; `rule` as in `Front.before`. */
  front = async (rule) => this.#use(await Front.before(this.url, rule));

  /** A POST to the server from outside of every hub. */
  post = async (path, body) => {
    const response = await fetch(this.url + path, { method: 'POST', body });
    if (!response.ok) throw new Error(`POST ${path} answered ${response.status}`);
    return response.text();
  };

  /** What the server holds of all its clients, counted; `undefined` of a server that does not tell. */
  stats = async () => {
    const response = await fetch(`${this.url}/outside/stats`);
    return response.ok ? response.json() : undefined;
  };

  /** What the clients leave on the pages they are on, as texts by place. */
  traces = async () => ({});

  /** A name no other test uses, since tests may share a server. */
  unique = (stem) => {
    serial += 1;
    return `${stem}-${process.pid}-${serial}`;
  };

  async end() {
    await Promise.allSettled(this.#clients.map((client) => client.hub.stop()));
    await Promise.allSettled(this.#between.map((each) => each.close()));
    for (const source of this.#sources) source.close();
  }

  /** The client drops an event source that failed to connect without closing it, and it would try for ever. */
  #remembering() {
    const sources = this.#sources;
    return class extends EventSource {
      constructor(...args) {
        super(...args);
        sources.add(this);
      }
    };
  }

  #use(between) {
    this.#between.push(between);
    return between;
  }
}

let serial = 0;

/** A real `HubConnection`, with what happens to it as promises. */
class Client {
  constructor(hub) {
    this.hub = hub;
    /** First argument of every `Message` received. */
    this.messages = new Mailbox('Message');
    this.reconnecting = new Mailbox('onreconnecting');
    this.reconnected = new Mailbox('onreconnected');
    this.#closed = new Promise((resolve) => hub.onclose((error) => resolve({ error })));
    hub.on('Message', (text) => this.messages.push(text));
    hub.onreconnecting((error) => this.reconnecting.push({ error, state: hub.state }));
    hub.onreconnected((id) => this.reconnected.push({ id, state: hub.state }));
  }

  #closed;

  get id() {
    return this.hub.connectionId;
  }

  start() {
    return within(this.hub.start(), 'start()');
  }

  invoke(method, ...args) {
    return within(this.hub.invoke(method, ...args), `the answer of ${method}`);
  }

  send(method, ...args) {
    return this.hub.send(method, ...args);
  }

  /** Asks `method` for its stream. */
  stream(method, ...args) {
    return new Streamed(method, this.hub.stream(method, ...args));
  }

  /** Every call of `name` by the server, as arrays of arguments. */
  on(name) {
    const box = new Mailbox(name);
    this.hub.on(name, (...args) => box.push(args));
    return box;
  }

  /** What `onclose` is called with, as `{ error }`. */
  closed() {
    return within(this.#closed, 'onclose');
  }
}
