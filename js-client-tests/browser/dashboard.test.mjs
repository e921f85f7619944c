// The clinical dashboard in a real browser: who may see and order what, and what a lost connection looks like.
//
// DASHBOARD=http://host:port names a running dashboard. Without it the built example is started on a free port.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { exampleBinary, startServer } from '../support/process.mjs';
import { launchChromium, screenshot } from './chromium.mjs';
import { Dashboard } from './dashboard-page.mjs';

const TEST_MS = 60_000;
const REFUSED_WARD = 'Access to this ward requires matching department assignment.';
const REFUSED_ORDER = 'because user is unauthorized';

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

/** One person's session at the dashboard. Leaves a picture named after a failed test. */
function session(name, body) {
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

session('a nurse watches her ward live', async (dashboard) => {
  await dashboard.signIn('nurse');
  await dashboard.see('signed-in-as', /nurse/i);
  await dashboard.openWard('ICU');
  await dashboard.moreUpdates(3);

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
  await dashboard.until(() => dashboard.chart(), (now) => now !== drawn, 'the chart to move on');
  await dashboard.moreUpdates(3);
  await screenshot(dashboard.page, 'nurse-watches-icu');
});

session('a nurse is refused the other wards', async (dashboard) => {
  await dashboard.signIn('nurse');
  await dashboard.openWard('ICU');
  await dashboard.click('ward-er');
  await dashboard.see('refusals', REFUSED_WARD);
  assert.doesNotMatch(await dashboard.text('subscriptions'), /\bER\b/);
  // The refusal costs nothing: the open ward goes on.
  await dashboard.moreUpdates(3);
  await screenshot(dashboard.page, 'nurse-refused-er');
});

session('a nurse may not order drugs', async (dashboard) => {
  await dashboard.signIn('nurse');
  await dashboard.openWard('ICU');
  await dashboard.moreUpdates(1);
  await dashboard.order('Amoxicillin');
  await dashboard.see('order-result', REFUSED_ORDER);
  await screenshot(dashboard.page, 'nurse-refused-order');
});

session('a doctor orders a drug', async (dashboard) => {
  await dashboard.signIn('doctor');
  await dashboard.see('signed-in-as', /doctor/i);
  await dashboard.openWard('Cardiology');
  await dashboard.moreUpdates(1);
  await dashboard.order('Amoxicillin');
  const result = await dashboard.see('order-result', 'Amoxicillin');
  assert.doesNotMatch(result, /unauthorized|error|failed|refused/i);
  await screenshot(dashboard.page, 'doctor-orders');
});

session('an administrator opens every ward', async (dashboard) => {
  await dashboard.signIn('admin');
  for (const ward of ['ICU', 'ER', 'Cardiology']) await dashboard.openWard(ward);
  await dashboard.moreUpdates(3);
  assert.equal(await dashboard.text('refusals').then((text) => text.includes(REFUSED_WARD)), false);
  await screenshot(dashboard.page, 'administrator-watches-all');
});

session('a cut connection comes back under a new id with its wards', async (dashboard) => {
  await dashboard.signIn('nurse');
  await dashboard.openWard('ICU');
  await dashboard.moreUpdates(1);
  const first = await dashboard.text('connection-id');
  await dashboard.recordChanges('connection-state');

  await dashboard.click('cut-connection');
  await dashboard.until(
    () => dashboard.text('connection-id'),
    (id) => id !== '' && id !== first,
    'a new connection id',
  );
  await dashboard.see('connection-state', /^connected/i);
  const states = await dashboard.changes('connection-state');
  const [before, ...rest] = states.map((state) => state.toLowerCase());
  assert.match(before, /^connected/);
  assert.ok(rest.some((state) => state.startsWith('reconnecting')), `states shown: ${states}`);
  assert.match(rest.at(-1), /^connected/);

  await dashboard.see('subscriptions', 'ICU');
  await dashboard.moreUpdates(3);
  await screenshot(dashboard.page, 'nurse-reconnected');
});

session('neither token nor refresh handle leaves a trace on the page', async (dashboard) => {
  await dashboard.signIn('nurse');
  await dashboard.openWard('ICU');
  const first = await dashboard.text('connection-id');
  await dashboard.click('cut-connection');
  await dashboard.until(() => dashboard.text('connection-id'), (id) => id !== '' && id !== first, 'a new connection');
  await dashboard.moreUpdates(1);

  assert.ok(dashboard.tokens.size > 0, 'no token was seen on its way to the server');
  const places = Object.entries(await dashboard.traces());
  for (const secret of [...dashboard.tokens, ...dashboard.refreshHandles]) {
    for (const [place, text] of places) assert.ok(!text.includes(secret), `a secret is in the page's ${place}`);
    const inUrl = dashboard.requests.some((url) => decodeURIComponent(url).includes(secret));
    assert.ok(!inUrl, 'a secret is in the URL of a request');
  }
});

session('short tokens live for a minute', async (dashboard) => {
  await dashboard.byId('short-tokens').check();
  await dashboard.signIn('nurse');
  await dashboard.openWard('ICU');
  await dashboard.moreUpdates(1);
  const now = Date.now() / 1000;
  assert.ok(dashboard.tokens.size > 0, 'no token was seen on its way to the server');
  for (const token of dashboard.tokens) {
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
    assert.ok(exp <= now + 61 && exp > now, `a token lives for ${exp - now} s`);
  }
});

session('with tokens that live for seconds the page stays connected', async (dashboard) => {
  // A server of its own, whose short tokens are shorter.
  const seconds = 4;
  const hasty = await startServer(exampleBinary('clinical_dashboard'), undefined, ['--short-tokens', `${seconds}`]);
  try {
    await dashboard.page.goto(hasty.url);
    await dashboard.byId('short-tokens').check();
    await dashboard.signIn('nurse');
    await dashboard.openWard('ICU');
    const id = await dashboard.text('connection-id');
    await dashboard.recordChanges('connection-state');
    const refreshes = () => dashboard.requests.filter((url) => url.endsWith('/hubs/clinical/refresh')).length;
    // Each comes after half of a life, so this is more than two of them.
    await dashboard.until(async () => refreshes(), (count) => count >= 5, '5 refreshes');
    await dashboard.see('event-log', 'The connection has the new token');
    await dashboard.moreUpdates(3);
    assert.deepEqual(await dashboard.changes('connection-state'), ['Connected']);
    assert.equal(await dashboard.text('connection-id'), id);
    await screenshot(dashboard.page, 'nurse-stays-with-short-tokens');
    await dashboard.page.goto('about:blank');
  } finally {
    await hasty.stop();
  }
});

session('signing out ends the connection', async (dashboard) => {
  await dashboard.signIn('nurse');
  await dashboard.openWard('ICU');
  await dashboard.moreUpdates(1);
  await dashboard.click('sign-out');
  await dashboard.see('connection-state', /^disconnected/i);
  await dashboard.byId('login-nurse').waitFor();
});
