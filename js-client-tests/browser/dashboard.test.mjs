// The clinical dashboard in a real browser: authorization, reconnects and tokens.
//
// DASHBOARD=http://host:port names a running dashboard. Without it the built example is started on
// a free port.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { exampleBinary, startServer } from '../support/process.mjs';
import { launchChromium, screenshot } from './chromium.mjs';
import { Dashboard } from './dashboard-page.mjs';

const TEST_MS = 60_000;
const WARD_DENIED = 'Access to this ward requires matching department assignment.';
const ORDER_DENIED = 'because user is unauthorized';

let server;
let browser;

before(async () => {
  browser = await launchChromium();
  server = process.env.DASHBOARD
    ? { url: process.env.DASHBOARD, stop: async () => {} }
    : await startServer(exampleBinary('clinical_dashboard'));
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Declares a test with one open dashboard. Saves a screenshot if the test fails. */
function dashboardTest(name, body) {
  test(name, { timeout: TEST_MS }, async () => {
    const dashboard = await Dashboard.open(browser, server.url);
    try {
      await body(dashboard);
    } catch (error) {
      await screenshot(dashboard.page, `failed ${name}`.replaceAll(/\W+/g, '-')).catch(() => {});
      throw error;
    } finally {
      await dashboard.close();
    }
  });
}

dashboardTest('a nurse watches live vital signs of her ward', async (dashboard) => {
  await dashboard.signIn('nurse');
  await dashboard.waitForText('signed-in-as', /nurse/i);
  await dashboard.openWard('ICU');
  await dashboard.waitForUpdates(3);

  const card = dashboard.byId('patient-card').first();
  assert.match(await card.getAttribute('data-patient'), /\S/);
  for (const [sign, pattern] of Object.entries({
    'heart-rate': /\d{2,3}/,
    spo2: /\d{2,3}/,
    'blood-pressure': /\d{2,3}\s*\/\s*\d{2,3}/,
  })) {
    assert.match(await card.getByTestId(sign).innerText(), pattern, sign);
  }

  const drawn = await dashboard.chart();
  await dashboard.waitUntil(() => dashboard.chart(), (now) => now !== drawn, 'the chart to change');
  await dashboard.waitForUpdates(3);
  await screenshot(dashboard.page, 'nurse-watches-icu');
});

dashboardTest('a nurse cannot open other wards', async (dashboard) => {
  await dashboard.signIn('nurse');
  await dashboard.openWard('ICU');
  await dashboard.click('ward-er');
  await dashboard.waitForText('refusals', WARD_DENIED);
  assert.doesNotMatch(await dashboard.text('subscriptions'), /\bER\b/);
  // The open ward still receives updates.
  await dashboard.waitForUpdates(3);
  await screenshot(dashboard.page, 'nurse-denied-er');
});

dashboardTest('a nurse cannot order drugs', async (dashboard) => {
  await dashboard.signIn('nurse');
  await dashboard.openWard('ICU');
  await dashboard.waitForUpdates(1);
  await dashboard.order('Amoxicillin');
  await dashboard.waitForText('order-result', ORDER_DENIED);
  await screenshot(dashboard.page, 'nurse-denied-order');
});

dashboardTest('a doctor orders a drug', async (dashboard) => {
  await dashboard.signIn('doctor');
  await dashboard.waitForText('signed-in-as', /doctor/i);
  await dashboard.openWard('Cardiology');
  await dashboard.waitForUpdates(1);
  await dashboard.order('Amoxicillin');
  const result = await dashboard.waitForText('order-result', 'Amoxicillin');
  assert.doesNotMatch(result, /unauthorized|error|failed|refused/i);
  await screenshot(dashboard.page, 'doctor-orders');
});

dashboardTest('an administrator opens every ward', async (dashboard) => {
  await dashboard.signIn('admin');
  for (const ward of ['ICU', 'ER', 'Cardiology']) await dashboard.openWard(ward);
  await dashboard.waitForUpdates(3);
  assert.equal(await dashboard.text('refusals').then((text) => text.includes(WARD_DENIED)), false);
  await screenshot(dashboard.page, 'administrator-watches-all');
});

dashboardTest('a cut connection reconnects under a new id and reopens its wards', async (dashboard) => {
  await dashboard.signIn('nurse');
  await dashboard.openWard('ICU');
  await dashboard.waitForUpdates(1);
  const first = await dashboard.text('connection-id');
  await dashboard.recordChanges('connection-state');

  await dashboard.click('cut-connection');
  await dashboard.waitUntil(
    () => dashboard.text('connection-id'),
    (id) => id !== '' && id !== first,
    'a new connection id',
  );
  await dashboard.waitForText('connection-state', /^connected/i);
  const states = await dashboard.changes('connection-state');
  const [before, ...rest] = states.map((state) => state.toLowerCase());
  assert.match(before, /^connected/);
  assert.ok(rest.some((state) => state.startsWith('reconnecting')), `states shown: ${states}`);
  assert.match(rest.at(-1), /^connected/);

  await dashboard.waitForText('subscriptions', 'ICU');
  await dashboard.waitForUpdates(3);
  await screenshot(dashboard.page, 'nurse-reconnected');
});

dashboardTest('the page stores neither tokens nor refresh handles', async (dashboard) => {
  await dashboard.signIn('nurse');
  await dashboard.openWard('ICU');
  const first = await dashboard.text('connection-id');
  await dashboard.click('cut-connection');
  await dashboard.waitUntil(() => dashboard.text('connection-id'), (id) => id !== '' && id !== first, 'a new connection');
  await dashboard.waitForUpdates(1);

  assert.ok(dashboard.tokens.size > 0, 'the page sent no token');
  const places = Object.entries(await dashboard.pageState());
  for (const secret of [...dashboard.tokens, ...dashboard.refreshHandles]) {
    for (const [place, text] of places) assert.ok(!text.includes(secret), `a secret is in the page's ${place}`);
    const inUrl = dashboard.requests.some((url) => decodeURIComponent(url).includes(secret));
    assert.ok(!inUrl, 'a secret is in the URL of a request');
  }
});

dashboardTest('short-lived tokens expire after a minute', async (dashboard) => {
  await dashboard.byId('short-tokens').check();
  await dashboard.signIn('nurse');
  await dashboard.openWard('ICU');
  await dashboard.waitForUpdates(1);
  const now = Date.now() / 1000;
  assert.ok(dashboard.tokens.size > 0, 'the page sent no token');
  for (const token of dashboard.tokens) {
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
    assert.ok(exp <= now + 61 && exp > now, `a token expires in ${exp - now} s`);
  }
});

dashboardTest('the page stays connected while its tokens are refreshed every few seconds', async (dashboard) => {
  // This test needs a server with a shorter lifetime of short-lived tokens.
  const seconds = 4;
  const ownServer = await startServer(exampleBinary('clinical_dashboard'), undefined, ['--short-tokens', `${seconds}`]);
  try {
    await dashboard.page.goto(ownServer.url);
    await dashboard.byId('short-tokens').check();
    await dashboard.signIn('nurse');
    await dashboard.openWard('ICU');
    const id = await dashboard.text('connection-id');
    await dashboard.recordChanges('connection-state');
    const refreshes = () => dashboard.requests.filter((url) => url.endsWith('/hubs/clinical/refresh')).length;
    // Each refresh is after half of a token's lifetime, so five refreshes span more than two
    // lifetimes.
    await dashboard.waitUntil(async () => refreshes(), (count) => count >= 5, '5 refreshes');
    await dashboard.waitForText('event-log', 'The connection has the new token');
    await dashboard.waitForUpdates(3);
    assert.deepEqual(await dashboard.changes('connection-state'), ['Connected']);
    assert.equal(await dashboard.text('connection-id'), id);
    await screenshot(dashboard.page, 'nurse-short-lived-tokens');
    await dashboard.page.goto('about:blank');
  } finally {
    await ownServer.stop();
  }
});

dashboardTest('signing out closes the connection', async (dashboard) => {
  await dashboard.signIn('nurse');
  await dashboard.openWard('ICU');
  await dashboard.waitForUpdates(1);
  await dashboard.click('sign-out');
  await dashboard.waitForText('connection-state', /^disconnected/i);
  await dashboard.byId('login-nurse').waitFor();
});
