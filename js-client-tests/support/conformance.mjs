// Runs each test body over every transport and every hub protocol, against the conformance server.
//
// Each test file has a server of its own, unless SERVER names one.
import { after, before, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { unlessPending } from './known-failures.mjs';
import { conformanceServer } from './process.mjs';
import { FORMATS, TRANSPORTS, pairs } from './matrix.mjs';
import { World } from './fixture.mjs';

const TEST_MS = 60_000;
/** Tests that run side by side in one file, each over all its transports: enough that waiting costs nothing. */
const AT_ONCE = 4;

/** The server of this file, once its tests run. */
export let server;
before(async () => {
  server = await conformanceServer();
});
after(() => server?.stop());

/**
 * Declares `name` once for each transport, or those of `transports`, and each protocol it carries. `body` gets a
 * `World`, or what `world` makes in its place. The tests of a file run side by side, but for those that are to run
 * `alone` as they send to everyone.
 * `pending` says what the server still lacks for the test, and `ours` why it is true of this project's server alone.
 */
export function everywhere(name, body, { transports = TRANSPORTS, ...options } = {}) {
  declare(name, body, pairs(transports), options);
}

/** As `everywhere`, for what only one transport can do. */
export function overWebSockets(name, body, options) {
  everywhere(name, body, { ...options, transports: ['WebSockets'] });
}

/** Declares `name` once for each protocol. The client is free to take any transport. */
export function inEachFormat(name, body, options = {}) {
  declare(name, body, FORMATS.map((protocol) => ({ protocol })), options);
}

function declare(name, body, runs, { pending, ours, world: Kind = World, alone = false, timeout = TEST_MS }) {
  const declareTests = () =>
    describe(name, { concurrency: true }, () => {
      for (const { transport, protocol } of runs) {
        test([transport, protocol].filter(Boolean).join(', '), { timeout }, async (context) => {
          const world = new Kind(server.url, transport, protocol);
          try {
            if (ours && !(await world.stats())) return context.skip(ours);
            await unlessPending(pending, () => body(world));
          } finally {
            await world.end();
          }
        });
      }
    });
  if (alone) declareTests();
  else together.push(declareTests);
}

// The file's tests are there once all of it was read, which it is without a pause.
const together = [];
describe('side by side', { concurrency: AT_ONCE }, async () => {
  await setImmediate();
  for (const declareTests of together) declareTests();
});
