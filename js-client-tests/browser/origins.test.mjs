// The client on cross-origin pages in a browser: CORS with every transport.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { HttpProxy, RequestKind } from '../support/http-proxy.mjs';
import { combinations } from '../support/matrix.mjs';
import { conformanceServer } from '../support/process.mjs';
import { mint, nurse } from '../support/tokens.mjs';
import { launchChromium } from './chromium.mjs';
import { startSite } from './site.mjs';

const TEST_MS = 60_000;
/**
 * An origin that the CORS policy of the conformance server allows, and an origin that it denies.
 */
const ALLOWED = 'http://app.test';
const DENIED = 'http://other.test';

let server;
let site;
let browser;

before(async () => {
  site = await startSite(['app.test', 'other.test']);
  browser = await launchChromium(site.flags);
  server = await conformanceServer();
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
  await site?.close();
});

/**
 * Declares `name` once for each of `over`. `body` receives a page of `origin` and the proxy for its
 * requests.
 */
function onPage(name, { origin, over = combinations() }, body) {
  describe(name, { concurrency: true }, () => {
    for (const { transport, protocol } of over) {
      test(`${transport}, ${protocol}`, { timeout: TEST_MS }, async () => {
        const context = await browser.newContext();
        const proxy = await HttpProxy.start(server.url);
        try {
          const page = await context.newPage();
          await page.goto(origin);
          await body({ page, proxy, transport, protocol });
        } finally {
          await context.close();
          await proxy.close();
        }
      });
    }
  });
}

/**
 * Runs in the page: connects, exchanges messages in both directions and returns what the page
 * received.
 */
async function exchange({ url, transport, protocol, token, skipNegotiation = false }) {
  const { HttpTransportType, HubConnectionBuilder, JsonHubProtocol, protocols } = window.signalR;
  const hub = new HubConnectionBuilder()
    .withUrl(url, {
      transport: HttpTransportType[transport],
      skipNegotiation,
      ...(token ? { accessTokenFactory: () => token } : {}),
    })
    .withHubProtocol(protocol === 'json' ? new JsonHubProtocol() : new protocols.msgpack.MessagePackHubProtocol())
    .build();
  const message = new Promise((resolve) => hub.on('Message', resolve));
  await hub.start();
  const results = {
    transport: await hub.invoke('Transport'),
    user: await hub.invoke('UserIdentifier'),
    text: await hub.invoke('Echo', 'Blutdruck 120/80 ♥'),
    origin: await hub.invoke('Header', 'Origin'),
  };
  await hub.send('ToCaller', 'to the page');
  results.message = await message;
  await hub.stop();
  return results;
}

const expectedResults = (transport, user, origin) => ({
  transport,
  user,
  text: 'Blutdruck 120/80 ♥',
  origin,
  message: 'to the page',
});

onPage('a page of an allowed origin can connect', { origin: ALLOWED }, async (run) => {
  const { page, proxy, transport, protocol } = run;
  const results = await page.evaluate(exchange, { url: `${proxy.url}/conformance`, transport, protocol });
  assert.deepEqual(results, expectedResults(transport, null, ALLOWED));
  assert.ok(proxy.count(transport) >= 1);
});

onPage('a page of an allowed origin can send a token', { origin: ALLOWED }, async (run) => {
  const { page, proxy, transport, protocol } = run;
  const url = `${proxy.url}/hubs/clinical`;
  const results = await page.evaluate(exchange, { url, transport, protocol, token: mint(nurse) });
  assert.deepEqual(results, expectedResults(transport, 'nurse-1', ALLOWED));

  // The browser sends a preflight before a request with a token.
  const preflights = proxy.requests.filter(({ kind, status }) => kind === RequestKind.preflight && status !== undefined);
  assert.ok(preflights.length >= 1);
  for (const { headers, status } of preflights) {
    assert.equal(status, 204);
    assert.match(headers['access-control-request-headers'], /authorization/);
  }
});

onPage('the browser blocks requests of a page of a denied origin', { origin: DENIED }, async (run) => {
  const { page, proxy, transport, protocol } = run;
  const url = `${proxy.url}/conformance`;
  await assert.rejects(page.evaluate(exchange, { url, transport, protocol }), {
    message: /Failed to complete negotiation with the server: TypeError: Failed to fetch/,
  });
  assert.equal(proxy.count(transport), 0);
});

const webSockets = combinations(['WebSockets']);

onPage('CORS does not apply to WebSockets', { origin: DENIED, over: webSockets }, async (run) => {
  const { page, proxy, transport, protocol } = run;
  const url = `${proxy.url}/conformance`;
  const results = await page.evaluate(exchange, { url, transport, protocol, skipNegotiation: true });
  assert.deepEqual(results, expectedResults(transport, null, DENIED));
  assert.deepEqual(proxy.kinds, [RequestKind.webSocket]);
});

onPage('a cross-origin page can reconnect', { origin: ALLOWED }, async (run) => {
  const { page, proxy, transport, protocol } = run;
  const reconnects = async ({ url, transport, protocol }) => {
    const { HttpTransportType, HubConnectionBuilder, JsonHubProtocol, protocols } = window.signalR;
    const hub = new HubConnectionBuilder()
      .withUrl(url, { transport: HttpTransportType[transport] })
      .withHubProtocol(protocol === 'json' ? new JsonHubProtocol() : new protocols.msgpack.MessagePackHubProtocol())
      .withAutomaticReconnect([0, 50, 100])
      .build();
    await hub.start();
    const first = hub.connectionId;
    window.second = new Promise((resolve) => hub.onreconnected((id) => resolve({ first, id })));
    window.secondId = () => hub.invoke('ConnectionId');
  };
  await page.evaluate(reconnects, { url: `${proxy.url}/conformance`, transport, protocol });
  await proxy.disconnect(transport);
  const { first, id } = await page.evaluate(() => window.second);
  assert.notEqual(id, first);
  assert.equal(await page.evaluate(() => window.secondId()), id);
});
