// Checks the browser itself, so that a broken installation is not mistaken for a failure of the
// dashboard.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launchChromium } from './chromium.mjs';

test('the browser opens a page and runs its scripts', { timeout: 120_000 }, async () => {
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.setContent('<p data-testid="sum"></p><script>document.querySelector("p").textContent = 6 * 7</script>');
    assert.equal(await page.getByTestId('sum').innerText(), '42');
  } finally {
    await browser.close();
  }
});
