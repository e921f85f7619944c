// The browser's own client on a page of another origin: what CORS lets through, over every transport.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Front, Kind } from '../support/http-proxy.mjs';
import { pairs } from '../support/matrix.mjs';
import { conformanceServer } from '../support/process.mjs';
import { mint, nurse } from '../support/tokens.mjs';
import { launchChromium } from './chromium.mjs';
import { startSite } from './site.mjs';

const TEST_MS = 60_000;
/** The origin that the conformance server's policy admits, and one that it does not. */
const ADMITTED = 'http://app.test';
const STRANGER = 'http://other.test';

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

/** Declares `name` once for each of `over`. `body` gets a page of `origin`, and a proxy that sees its requests. */
function onPage(name, { origin, over = pairs() }, body) {
  describe(name, { concurrency: true }, () => {
    for (const { transport, protocol } of over) {
      test(`${transport}, ${protocol}`, { timeout: TEST_MS }, async () => {
        const context = await browser.newContext();
        const front = await Front.before(server.url);
        try {
          const page = await context.newPage();
          await page.goto(origin);
          await body({ page, front, transport, protocol });
        } finally {
          await context.close();
          await front.close();
        }
      });
    }
  });
}

/** Runs in the page: connects, calls, is called, and tells what it saw. */
async function talk({ url, transport, protocol, token, skipNegotiation = false }) {
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
  const seen = {
    transport: await hub.invoke('Transport'),
    user: await hub.invoke('UserIdentifier'),
    text: await hub.invoke('Echo', 'Blutdruck 120/80 ♥'),
    origin: await hub.invoke('Header', 'Origin'),
  };
  await hub.send('ToCaller', 'to the page');
  seen.message = await message;
  await hub.stop();
  return seen;
}

const heard = (transport, user, origin) => ({
  transport,
  user,
  text: 'Blutdruck 120/80 ♥',
  origin,
  message: 'to the page',
});

onPage('a page of an admitted origin connects', { origin: ADMITTED }, async (run) => {
  const { page, front, transport, protocol } = run;
  const seen = await page.evaluate(talk, { url: `${front.url}/conformance`, transport, protocol });
  assert.deepEqual(seen, heard(transport, null, ADMITTED));
  assert.ok(front.count(transport) >= 1);
});

onPage('a page of an admitted origin proves who its user is', { origin: ADMITTED }, async (run) => {
  const { page, front, transport, protocol } = run;
  const url = `${front.url}/hubs/clinical`;
  const seen = await page.evaluate(talk, { url, transport, protocol, token: mint(nurse) });
  assert.deepEqual(seen, heard(transport, 'nurse-1', ADMITTED));

  // A browser asks before it sends a token along, and is content with the answer.
  const asked = front.requests.filter(({ kind, status }) => kind === Kind.preflight && status !== undefined);
  assert.ok(asked.length >= 1);
  for (const { headers, status } of asked) {
    assert.equal(status, 204);
    assert.match(headers['access-control-request-headers'], /authorization/);
  }
});

onPage('a page of another origin is kept away by the browser', { origin: STRANGER }, async (run) => {
  const { page, front, transport, protocol } = run;
  const url = `${front.url}/conformance`;
  await assert.rejects(page.evaluate(talk, { url, transport, protocol }), {
    message: /Failed to complete negotiation with the server: TypeError: Failed to fetch/,
  });
  assert.equal(front.count(transport), 0);
});

const webSockets = pairs(['WebSockets']);

onPage('CORS says nothing of WebSockets', { origin: STRANGER, over: webSockets }, async (run) => {
  const { page, front, transport, protocol } = run;
  const url = `${front.url}/conformance`;
  const seen = await page.evaluate(talk, { url, transport, protocol, skipNegotiation: true });
  assert.deepEqual(seen, heard(transport, null, STRANGER));
  assert.deepEqual(front.kinds, [Kind.webSocket]);
});

onPage('a page reconnects across origins', { origin: ADMITTED }, async (run) => {
  const { page, front, transport, protocol } = run;
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
  await page.evaluate(reconnects, { url: `${front.url}/conformance`, transport, protocol });
  await front.lose(transport);
  const { first, id } = await page.evaluate(() => window.second);
  assert.notEqual(id, first);
  assert.equal(await page.evaluate(() => window.secondId()), id);
});
