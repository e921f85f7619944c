// The clinical dashboard as a person sees it, in a browser context of its own.
import assert from 'node:assert/strict';
import { traces } from './page-state.mjs';

const PATIENCE_MS = 15_000;

/** A token in the compact form: three parts of base64url, the first two of them JSON. */
const TOKEN = /eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/g;

export class Dashboard {
  /** Tokens seen on their way to the server. */
  tokens = new Set();
  /** What the server gave to get new tokens with. */
  refreshHandles = new Set();
  /** URLs of everything the page requested. */
  requests = [];
  #context;
  #errors = [];

  static async open(browser, url) {
    const dashboard = new Dashboard();
    dashboard.#context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    dashboard.page = await dashboard.#context.newPage();
    dashboard.page.setDefaultTimeout(PATIENCE_MS);
    dashboard.#watch();
    await dashboard.page.goto(url);
    return dashboard;
  }

  /** Closes the page, and fails if it threw. */
  async close() {
    await this.#context.close();
    assert.deepEqual(this.#errors, [], 'errors on the page');
  }

  byId(id) {
    return this.page.getByTestId(id);
  }

  async click(id) {
    await this.byId(id).click();
  }

  async text(id) {
    return (await this.byId(id).innerText()).trim();
  }

  /** Waits until the text of `id` is as `wanted`: a text it contains, or a pattern. Returns it. */
  async see(id, wanted) {
    const matches = (text) => (wanted instanceof RegExp ? wanted.test(text) : text.includes(wanted));
    return this.until(() => this.text(id), matches, `${id} to show ${wanted}`);
  }

  /** Waits until what `read` gives satisfies `test`. */
  async until(read, test, what) {
    const deadline = Date.now() + PATIENCE_MS;
    let last;
    do {
      last = await read();
      if (test(last)) return last;
      // The page offers no event for this: it is looked at again, up to the deadline.
      await this.page.evaluate(() => new Promise(requestAnimationFrame));
    } while (Date.now() < deadline);
    throw new Error(`waited ${PATIENCE_MS} ms in vain for ${what}; last seen: ${JSON.stringify(last)}`);
  }

  async signIn(role) {
    await this.click(`login-${role}`);
    await this.see('connection-state', /^connected/i);
    await this.see('connection-id', /\S/);
  }

  async openWard(ward) {
    await this.click(`ward-${ward.toLowerCase()}`);
    await this.see('subscriptions', ward);
  }

  async updates() {
    return Number((await this.text('updates')).replace(/\D/g, ''));
  }

  /** Waits for `count` more updates of vital signs. */
  async moreUpdates(count) {
    const before = await this.updates();
    return this.until(() => this.updates(), (now) => now >= before + count, `${count} updates after ${before}`);
  }

  async order(drug) {
    await this.byId('order-drug').fill(drug);
    await this.click('order-submit');
  }

  /** Writes down every text that `id` shows from now on, however short; `changes` reads them. */
  async recordChanges(id) {
    await this.page.evaluate((testId) => {
      const shown = () => document.querySelector(`[data-testid="${testId}"]`)?.textContent.trim();
      const texts = [shown()];
      const note = () => {
        if (shown() !== texts.at(-1)) texts.push(shown());
      };
      new MutationObserver(note).observe(document.body, { childList: true, characterData: true, subtree: true });
      window.recordedChanges = { ...window.recordedChanges, [testId]: texts };
    }, id);
  }

  changes(id) {
    return this.page.evaluate((testId) => window.recordedChanges[testId], id);
  }

  /** What the chart of the first patient shows, as something comparable. */
  chart() {
    return this.byId('patient-card').first().evaluate((card) => {
      const canvas = card.querySelector('canvas');
      return canvas ? canvas.toDataURL() : card.querySelector('svg').outerHTML;
    });
  }

  /** As `traces` of the page. */
  traces() {
    return traces(this.page);
  }

  #watch() {
    this.page.on('pageerror', (error) => this.#errors.push(String(error)));
    this.page.on('request', (request) => {
      this.requests.push(request.url());
      this.#keepTokens(request.headers().authorization);
    });
    this.page.on('response', async (response) => {
      if (!response.headers()['content-type']?.includes('application/json')) return;
      // A page that is closing has no body any more.
      const body = await response.json().catch(() => undefined);
      if (typeof body?.refresh === 'string') this.refreshHandles.add(body.refresh);
    });
    this.page.on('websocket', (socket) => this.#keepTokens(decodeURIComponent(socket.url())));
  }

  #keepTokens(text = '') {
    for (const [token] of text.matchAll(TOKEN)) this.tokens.add(token);
  }
}
