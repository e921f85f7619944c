// Tests of what a server does not do yet.
//
// COMPLETE=1 says that the server lacks nothing, so that every test must pass as it is.
import assert from 'node:assert/strict';

/**
 * Runs `body`. With `pending`, what the server still lacks for it, it must fail: once it passes, the mark has to go.
 */
export async function unlessPending(pending, body) {
  if (!pending || process.env.COMPLETE) return body();
  await assert.rejects(body, () => true, `passes now: take the mark "pending" off (${pending})`);
}
