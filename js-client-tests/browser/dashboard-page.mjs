// Page object of the clinical dashboard, in a separate browser context.
import assert from 'node:assert/strict';
import { readPageState } from './page-state.mjs';

const TIMEOUT_MS = 15_000;

/** Matches a token in compact form: three parts in base64url, of which the first two are JSON. */
const TOKEN = /eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/g;

export class Dashboard {
  /** Tokens that the page sent to the server. */
  tokens = new Set();
  /** Refresh handles that the page received from the server. */
  refreshHandles = new Set();
  /** URLs of all requests of the page. */
  requests = [];
  #context;
  #errors = [];

  static async open(browser, url) {
    const dashboard = new Dashboard();
    dashboard.#context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    dashboard.page = await dashboard.#context.newPage();
    dashboard.page.setDefaultTimeout(TIMEOUT_MS);
    dashboard.#recordTraffic();
    await dashboard.page.goto(url);
    return dashboard;
  }

  /** Closes the page; fails if a script of the page has thrown. */
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

  /**
   * Waits until the text of `id` contains the string `expected`, or matches the pattern. Returns
   * the text.
   */
  async waitForText(id, expected) {
    const matches = (text) => (expected instanceof RegExp ? expected.test(text) : text.includes(expected));
    return this.waitUntil(() => this.text(id), matches, `${id} to show ${expected}`);
  }

  /** Waits until `test` accepts the value of `read`. Returns the value. */
  async waitUntil(read, test, what) {
    const deadline = Date.now() + TIMEOUT_MS;
    let last;
    do {
      last = await read();
      if (test(last)) return last;
      // The page has no event for this, so the condition is checked again at each frame.
      await this.page.evaluate(() => new Promise(requestAnimationFrame));
    } while (Date.now() < deadline);
    throw new Error(`timed out after ${TIMEOUT_MS} ms: waiting for ${what}; last value: ${JSON.stringify(last)}`);
  }

  async signIn(role) {
    await this.click(`login-${role}`);
    await this.waitForText('connection-state', /^connected/i);
    await this.waitForText('connection-id', /\S/);
  }

  async openWard(ward) {
    await this.click(`ward-${ward.toLowerCase()}`);
    await this.waitForText('subscriptions', ward);
  }

  async updates() {
    return Number((await this.text('updates')).replace(/\D/g, ''));
  }

  /** Waits for `count` more updates of vital signs. */
  async waitForUpdates(count) {
    const before = await this.updates();
    return this.waitUntil(() => this.updates(), (now) => now >= before + count, `${count} updates after ${before}`);
  }

  async order(drug) {
    await this.byId('order-drug').fill(drug);
    await this.click('order-submit');
  }

  /** Records every text that `id` shows from now on, however briefly; `changes` returns them. */
  async recordChanges(id) {
    await this.page.evaluate((testId) => {
      const shown = () => document.querySelector(`[data-testid="${testId}"]`)?.textContent.trim();
      const texts = [shown()];
      const record = () => {
        if (shown() !== texts.at(-1)) texts.push(shown());
      };
      new MutationObserver(record).observe(document.body, { childList: true, characterData: true, subtree: true });
      window.recordedChanges = { ...window.recordedChanges, [testId]: texts };
    }, id);
  }

  changes(id) {
    return this.page.evaluate((testId) => window.recordedChanges[testId], id);
  }

  /** Returns the image of the first patient's chart as a comparable string. */
  chart() {
    return this.byId('patient-card').first().evaluate((card) => {
      const canvas = card.querySelector('canvas');
      return canvas ? canvas.toDataURL() : card.querySelector('svg').outerHTML;
    });
  }

  /** As `readPageState` of this page. */
  pageState() {
    return readPageState(this.page);
  }

  #recordTraffic() {
    this.page.on('pageerror', (error) => this.#errors.push(String(error)));
    this.page.on('request', (request) => {
      this.requests.push(request.url());
      this.#recordTokens(request.headers().authorization);
    });
    this.page.on('response', async (response) => {
      if (!response.headers()['content-type']?.includes('application/json')) return;
      // The body is not available while the page is closing.
      const body = await response.json().catch(() => undefined);
      if (typeof body?.refresh === 'string') this.refreshHandles.add(body.refresh);
    });
    this.page.on('websocket', (socket) => this.#recordTokens(decodeURIComponent(socket.url())));
  }

  #recordTokens(text = '') {
    for (const [token] of text.matchAll(TOKEN)) this.tokens.add(token);
  }
}
