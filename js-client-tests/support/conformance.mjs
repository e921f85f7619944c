// Runs each test body over every transport and every hub protocol, against the conformance server.
//
// SERVER=http://host:port names a running server, any that has the conformance hubs. Without it the built
// example is started on a free port for this file's tests (CONFORMANCE=PATH names another binary).
// CLIENT_LOG=1 prints what the client logs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { HttpTransportType, HubConnectionBuilder, JsonHubProtocol, LogLevel } from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';
import { Mailbox, within } from './mailbox.mjs';
import { exampleBinary, startServer } from './process.mjs';
import { Proxy } from './proxy.mjs';

const TRANSPORTS = [HttpTransportType.WebSockets];
const PROTOCOLS = { json: JsonHubProtocol, messagepack: MessagePackHubProtocol };
const TEST_MS = 30_000;

let server;
before(async () => {
  server = process.env.SERVER
    ? { url: process.env.SERVER.replace(/\/$/, ''), stop: async () => {} }
    : await startServer(process.env.CONFORMANCE ?? exampleBinary('conformance'));
});
after(() => server?.stop());

/**
 * Declares `name` once for each transport and protocol. `body` gets a `World`. With `pending`, what the server still
 * lacks for it, the body must fail: once it passes, the mark has to go.
 */
export function everywhere(name, body, { transports = TRANSPORTS, pending } = {}) {
  describe(name, { concurrency: true }, () => {
    for (const transport of TRANSPORTS.filter((each) => transports.includes(each))) {
      for (const protocol of Object.keys(PROTOCOLS)) {
        // Server-sent events carry text only, so the client refuses a binary protocol over them.
        if (transport === HttpTransportType.ServerSentEvents && protocol === 'messagepack') continue;
        test(`${HttpTransportType[transport]}, ${protocol}`, { timeout: TEST_MS }, async () => {
          const world = new World(server.url, transport, protocol);
          try {
            await (pending ? assert.rejects(body(world), `passes now: take the mark "pending" off`) : body(world));
          } finally {
            await world.end();
          }
        });
      }
    }
  });
}

/** As `everywhere`, for what only one transport can do. */
export function overWebSockets(name, body) {
  everywhere(name, body, { transports: [HttpTransportType.WebSockets] });
}

/** What one run of a test body has: a server, a transport, a protocol, and the clients it made. */
class World {
  #clients = [];
  #proxies = [];

  constructor(url, transport, protocol) {
    this.url = url;
    this.transport = transport;
    this.protocol = protocol;
  }

  /**
   * A client that is not started.
   * `token` is a token or an access token factory; `reconnect` the delays of automatic reconnect, or `true` for
   * the client's own; `stateful` whether it may go on with another WebSocket; `via` another server URL, such as a proxy's; `options` what `withUrl` takes besides.
   */
  client = (path, { token, reconnect, stateful, via = this.url, options = {} } = {}) => {
    const builder = new HubConnectionBuilder()
      .withUrl(via + path, {
        transport: this.transport,
        ...(token === undefined ? {} : { accessTokenFactory: typeof token === 'function' ? token : () => token }),
        ...options,
      })
      .withHubProtocol(new PROTOCOLS[this.protocol]())
      .configureLogging(process.env.CLIENT_LOG ? LogLevel.Debug : LogLevel.None);
    if (reconnect) builder.withAutomaticReconnect(...(reconnect === true ? [] : [reconnect]));
    if (stateful) builder.withStatefulReconnect();
    const client = new Client(builder.build());
    this.#clients.push(client);
    return client;
  };

  /** A started client. */
  connect = async (path, settings) => {
    const client = this.client(path, settings);
    await client.start();
    return client;
  };

  proxy = async () => {
    const proxy = await Proxy.before(this.url);
    this.#proxies.push(proxy);
    return proxy;
  };

  /** A POST to the server from outside of every hub. */
  post = async (path, body) => {
    const response = await fetch(this.url + path, { method: 'POST', body });
    if (!response.ok) throw new Error(`POST ${path} answered ${response.status}`);
    return response.text();
  };

  /** A name no other test uses, since tests may share a server. */
  unique = (stem) => {
    serial += 1;
    return `${stem}-${process.pid}-${serial}`;
  };

  async end() {
    await Promise.allSettled(this.#clients.map((client) => client.hub.stop()));
    await Promise.allSettled(this.#proxies.map((proxy) => proxy.close()));
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
