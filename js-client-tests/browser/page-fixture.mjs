// A `World` whose clients live in a page of headless Chromium, so that one test body serves Node and the browser.
import { after, before } from 'node:test';
import { World } from '../support/fixture.mjs';
import { launchChromium } from './chromium.mjs';
import { startSite } from './site.mjs';
import { traces } from './page-state.mjs';

/** The origin that the conformance server's policy admits. */
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

export class PageWorld extends World {
  /** Scripts of a page can set no header on these. */
  tokenInQuery = ['WebSockets', 'ServerSentEvents'];
  #hubs = [];
  #page;

  build(path, { token, reconnect, via = this.url, options = {} }) {
    this.#page ??= this.#open();
    const made = { url: via + path, transport: this.transport, protocol: this.protocol, reconnect, options };
    const hub = new HubInPage(this.#page, this.#hubs.length, made, token);
    this.#hubs.push(hub);
    return hub;
  }

  /** Every place where the page leaves traces, as texts by name. */
  traces = async () => traces(await this.#page);

  async end() {
    await super.end();
    const page = await this.#page;
    await page?.context().close();
  }

  async #open() {
    const page = await (await browser.newContext()).newPage();
    await page.exposeFunction('tell', (key, what, args, state) => this.#hubs[key].told(what, args, state));
    await page.exposeFunction('askToken', (key) => this.#hubs[key].token());
    await page.goto(ORIGIN);
    await page.evaluate(() => (window.hubs = []));
    return page;
  }
}

/** What the tests use of a `HubConnection`, done by one that is in the page. */
class HubInPage {
  connectionId = null;
  state = 'Disconnected';
  #page;
  #key;
  #handlers = new Map();

  constructor(page, key, { url, ...made }, token) {
    this.token = token;
    this.baseUrl = url;
    this.#key = key;
    const given = typeof token === 'function' ? { asked: true } : { token };
    this.#page = page.then(async (opened) => {
      await opened.evaluate(make, { key, url, ...made, ...given });
      return opened;
    });
  }

  on = (name, handler) => {
    this.#handlers.set(name, handler);
    void this.#run('on', name);
  };
  onclose = (handler) => this.#handlers.set('onclose', (message) => handler(failure(message)));
  onreconnecting = (handler) => this.#handlers.set('onreconnecting', (message) => handler(failure(message)));
  onreconnected = (handler) => this.#handlers.set('onreconnected', handler);

  start = () => this.#run('start');
  stop = () => this.#run('stop');
  send = (...args) => this.#run('send', ...args);
  invoke = (...args) => this.#run('invoke', ...args);

  told(what, args, state) {
    Object.assign(this, state);
    this.#handlers.get(what)(...args);
  }

  async #run(what, ...args) {
    const page = await this.#page;
    const answer = await page.evaluate(run, { key: this.#key, what, args });
    Object.assign(this, answer.now);
    if ('error' in answer) throw failure(answer.error);
    return answer.value;
  }
}

const failure = (message) => (message === undefined ? undefined : new Error(message));

/** Runs in the page: makes the hub connection. */
function make({ key, url, transport, protocol, reconnect, options, token, asked }) {
  const { HttpTransportType, HubConnectionBuilder, JsonHubProtocol, LogLevel, protocols } = window.signalR;
  const builder = new HubConnectionBuilder()
    .withUrl(url, {
      ...(transport ? { transport: HttpTransportType[transport] } : {}),
      ...(token === undefined ? {} : { accessTokenFactory: () => token }),
      ...(asked ? { accessTokenFactory: () => window.askToken(key) } : {}),
      ...options,
    })
    .withHubProtocol(protocol === 'json' ? new JsonHubProtocol() : new protocols.msgpack.MessagePackHubProtocol())
    .configureLogging(LogLevel.None);
  if (reconnect) builder.withAutomaticReconnect(...(reconnect === true ? [] : [reconnect]));
  const hub = builder.build();
  hub.now = () => ({ connectionId: hub.connectionId, state: hub.state });
  hub.tell = (what, ...args) => window.tell(key, what, args, hub.now());
  hub.onclose((error) => hub.tell('onclose', error?.message));
  hub.onreconnecting((error) => hub.tell('onreconnecting', error?.message));
  hub.onreconnected((id) => hub.tell('onreconnected', id));
  window.hubs[key] = hub;
}

/** Runs in the page: calls the hub connection, and tells what came of it. */
async function run({ key, what, args }) {
  const hub = window.hubs[key];
  try {
    if (what === 'on') hub.on(args[0], (...values) => hub.tell(args[0], ...values));
    const value = what === 'on' ? undefined : await hub[what](...args);
    return { value, now: hub.now() };
  } catch (error) {
    return { error: error.message, now: hub.now() };
  }
}
