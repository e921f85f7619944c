// A `Fixture` whose clients run in a page of headless Chromium, so that tests run in Node and in
// the browser.
import { after, before } from 'node:test';
import { Fixture } from '../support/fixture.mjs';
import { launchChromium } from './chromium.mjs';
import { startSite } from './site.mjs';
import { readPageState } from './page-state.mjs';

/** An origin that the CORS policy of the conformance server allows. */
const ORIGIN = 'http://app.test';

let site;
let browser;

before(async () => {
  site = await startSite([new URL(ORIGIN).host]);
  browser = await launchChromium(site.flags);
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await site?.close();
});

export class PageFixture extends Fixture {
  /** Scripts of a page cannot set headers on these. */
  tokenInQuery = ['WebSockets', 'ServerSentEvents'];
  #hubs = [];
  #page;

  build(path, { token, reconnect, via = this.url, options = {} }) {
    this.#page ??= this.#open();
    const settings = { url: via + path, transport: this.transport, protocol: this.protocol, reconnect, options };
    const hub = new PageHubConnection(this.#page, this.#hubs.length, settings, token);
    this.#hubs.push(hub);
    return hub;
  }

  pageState = async () => readPageState(await this.#page);

  async end() {
    await super.end();
    const page = await this.#page;
    await page?.context().close();
  }

  async #open() {
    const page = await (await browser.newContext()).newPage();
    await page.exposeFunction('emit', (key, event, args, state) => this.#hubs[key].onEvent(event, args, state));
    await page.exposeFunction('requestToken', (key) => this.#hubs[key].token());
    await page.goto(ORIGIN);
    await page.evaluate(() => (window.hubs = []));
    return page;
  }
}

/** The part of `HubConnection` that the tests use; forwards to a connection in the page. */
class PageHubConnection {
  connectionId = null;
  state = 'Disconnected';
  #page;
  #key;
  #handlers = new Map();

  constructor(page, key, { url, ...settings }, token) {
    this.token = token;
    this.baseUrl = url;
    this.#key = key;
    const tokenOptions = typeof token === 'function' ? { hasTokenFactory: true } : { token };
    this.#page = page.then(async (opened) => {
      await opened.evaluate(buildConnection, { key, url, ...settings, ...tokenOptions });
      return opened;
    });
  }

  on = (name, handler) => {
    this.#handlers.set(name, handler);
    void this.#call('on', name);
  };
  onclose = (handler) => this.#handlers.set('onclose', (message) => handler(toError(message)));
  onreconnecting = (handler) => this.#handlers.set('onreconnecting', (message) => handler(toError(message)));
  onreconnected = (handler) => this.#handlers.set('onreconnected', handler);

  start = () => this.#call('start');
  stop = () => this.#call('stop');
  send = (...args) => this.#call('send', ...args);
  invoke = (...args) => this.#call('invoke', ...args);

  onEvent(event, args, state) {
    Object.assign(this, state);
    this.#handlers.get(event)(...args);
  }

  async #call(method, ...args) {
    const page = await this.#page;
    const outcome = await page.evaluate(call, { key: this.#key, method, args });
    Object.assign(this, outcome.state);
    if ('error' in outcome) throw toError(outcome.error);
    return outcome.value;
  }
}

const toError = (message) => (message === undefined ? undefined : new Error(message));

/** Runs in the page: builds the hub connection. */
function buildConnection({ key, url, transport, protocol, reconnect, options, token, hasTokenFactory }) {
  const { HttpTransportType, HubConnectionBuilder, JsonHubProtocol, LogLevel, protocols } = window.signalR;
  const builder = new HubConnectionBuilder()
    .withUrl(url, {
      ...(transport ? { transport: HttpTransportType[transport] } : {}),
      ...(token === undefined ? {} : { accessTokenFactory: () => token }),
      ...(hasTokenFactory ? { accessTokenFactory: () => window.requestToken(key) } : {}),
      ...options,
    })
    .withHubProtocol(protocol === 'json' ? new JsonHubProtocol() : new protocols.msgpack.MessagePackHubProtocol())
    .configureLogging(LogLevel.None);
  if (reconnect) builder.withAutomaticReconnect(...(reconnect === true ? [] : [reconnect]));
  const hub = builder.build();
  hub.snapshot = () => ({ connectionId: hub.connectionId, state: hub.state });
  hub.emit = (event, ...args) => window.emit(key, event, args, hub.snapshot());
  hub.onclose((error) => hub.emit('onclose', error?.message));
  hub.onreconnecting((error) => hub.emit('onreconnecting', error?.message));
  hub.onreconnected((id) => hub.emit('onreconnected', id));
  window.hubs[key] = hub;
}

/** Runs in the page: calls a method of the hub connection and returns its outcome. */
async function call({ key, method, args }) {
  const hub = window.hubs[key];
  try {
    if (method === 'on') hub.on(args[0], (...values) => hub.emit(args[0], ...values));
    const value = method === 'on' ? undefined : await hub[method](...args);
    return { value, state: hub.snapshot() };
  } catch (error) {
    return { error: error.message, state: hub.snapshot() };
  }
}
