// Fixture of one test run: a server, a transport, a hub protocol, and the clients and proxies that
// the test creates.
import { createRequire } from 'node:module';
import { HttpTransportType, HubConnectionBuilder, JsonHubProtocol, LogLevel } from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';
import { FaultProxy } from './fault-proxy.mjs';
import { HttpProxy } from './http-proxy.mjs';
import { MessageQueue, withTimeout } from './message-queue.mjs';
import { ReceivedStream } from './streams.mjs';

/** The `EventSource` that the client uses in Node. */
const EventSource = createRequire(import.meta.resolve('@microsoft/signalr'))('eventsource');
const PROTOCOL_CLASSES = { json: JsonHubProtocol, messagepack: MessagePackHubProtocol };

export class Fixture {
  /**
   * The transports that carry the token in the query, because an `EventSource` cannot set headers.
   */
  tokenInQuery = ['ServerSentEvents'];
  #clients = [];
  #proxies = [];
  #eventSources = new Set();

  /** Without `transport`, clients use the first transport that works. */
  constructor(url, transport, protocol) {
    this.url = url;
    this.transport = transport;
    this.protocol = protocol;
  }

  /**
   * Returns a client that is not started.
   *
   * `token` is a token or an access token factory. `reconnect` is the list of delays of automatic
   * reconnect, or `true` for the client's defaults. `via` is another server URL, such as that of a
   * proxy. `stateful` enables stateful reconnect. `protocol` is another hub protocol. `options` are
   * further options of `withUrl`.
   */
  client = (path, settings = {}) => {
    const client = new Client(this.build(path, settings));
    this.#clients.push(client);
    return client;
  };

  /** Builds the `HubConnection` of a client. */
  build(path, { token, reconnect, via = this.url, stateful, protocol, options = {} }) {
    const builder = new HubConnectionBuilder()
      .withUrl(via + path, {
        ...(this.transport === undefined ? {} : { transport: HttpTransportType[this.transport] }),
        ...(token === undefined ? {} : { accessTokenFactory: typeof token === 'function' ? token : () => token }),
        EventSource: this.#trackedEventSource(),
        ...options,
      })
      .withHubProtocol(protocol ?? new PROTOCOL_CLASSES[this.protocol]())
      .configureLogging(process.env.CLIENT_LOG ? LogLevel.Debug : LogLevel.None);
    if (reconnect) builder.withAutomaticReconnect(...(reconnect === true ? [] : [reconnect]));
    if (stateful) builder.withStatefulReconnect();
    return builder.build();
  }

  /** Returns a started client. */
  connect = async (path, settings) => {
    const client = this.client(path, settings);
    await client.start();
    return client;
  };

  /** Starts a TCP proxy of class `ProxyClass` that forwards to the server. */
  tcpProxy = async (ProxyClass = FaultProxy) => this.#addProxy(await ProxyClass.start(this.url));

  /** Starts an HTTP proxy that forwards to the server; `rule` as in `HttpProxy.start`. */
  httpProxy = async (rule) => this.#addProxy(await HttpProxy.start(this.url, rule));

  /** Sends a POST request to another route of the server. */
  post = async (path, body) => {
    const response = await fetch(this.url + path, { method: 'POST', body });
    if (!response.ok) throw new Error(`POST ${path}: status ${response.status}`);
    return response.text();
  };

  /**
   * Returns the server's counts of its connections and their state; `undefined` if the server has
   * no such route.
   */
  stats = async () => {
    const response = await fetch(`${this.url}/outside/stats`);
    return response.ok ? response.json() : undefined;
  };

  /**
   * Returns all places of the clients' page where a secret could be left, as texts by name. Node
   * has none.
   */
  pageState = async () => ({});

  /** Returns a name that no other test uses, since tests may share a server. */
  unique = (prefix) => {
    serial += 1;
    return `${prefix}-${process.pid}-${serial}`;
  };

  async end() {
    await Promise.allSettled(this.#clients.map((client) => client.hub.stop()));
    await Promise.allSettled(this.#proxies.map((proxy) => proxy.close()));
    for (const source of this.#eventSources) source.close();
  }

  /**
   * The client does not close an event source that failed to connect, and such a source retries
   * forever.
   */
  #trackedEventSource() {
    const sources = this.#eventSources;
    return class extends EventSource {
      constructor(...args) {
        super(...args);
        sources.add(this);
      }
    };
  }

  #addProxy(proxy) {
    this.#proxies.push(proxy);
    return proxy;
  }
}

let serial = 0;

/** A `HubConnection` of the real client whose events can be awaited. */
class Client {
  constructor(hub) {
    this.hub = hub;
    /** First argument of each `Message` received. */
    this.messages = new MessageQueue('Message');
    this.reconnecting = new MessageQueue('onreconnecting');
    this.reconnected = new MessageQueue('onreconnected');
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
    return withTimeout(this.hub.start(), 'start()');
  }

  invoke(method, ...args) {
    return withTimeout(this.hub.invoke(method, ...args), `the result of ${method}`);
  }

  send(method, ...args) {
    return this.hub.send(method, ...args);
  }

  /** Invokes `method` and returns its stream. */
  stream(method, ...args) {
    return new ReceivedStream(method, this.hub.stream(method, ...args));
  }

  /**
   * Registers a handler for `name` and returns a queue of its calls, each an array of arguments.
   */
  on(name) {
    const calls = new MessageQueue(name);
    this.hub.on(name, (...args) => calls.push(args));
    return calls;
  }

  /** Waits for `onclose` and returns its argument as `{ error }`. */
  closed() {
    return withTimeout(this.#closed, 'onclose');
  }
}
