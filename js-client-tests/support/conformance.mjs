// Declares tests that run once for each transport and hub protocol against the conformance server.
//
// Each test file starts its own server, unless SERVER names a running one.
import { after, before, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { expectKnownFailure } from './known-failures.mjs';
import { conformanceServer } from './process.mjs';
import { PROTOCOLS, TRANSPORTS, combinations } from './matrix.mjs';
import { Fixture } from './fixture.mjs';

const TEST_TIMEOUT_MS = 60_000;
/**
 * Number of tests of one file that run concurrently, each with all its transports. Most of their
 * time is waiting.
 */
const CONCURRENT_TESTS = 4;

/** The server of this file; set before its tests run. */
export let server;
before(async () => {
  server = await conformanceServer();
});
after(() => server?.stop());

/**
 * Declares `name` once for each transport, or each of `transports`, and each hub protocol of that
 * transport. `body` receives a `Fixture`, or an instance of the class `fixture`. The tests of a
 * file run concurrently, except those with `exclusive`, which send to all connections.
 *
 * `knownFailure` names the feature that the server lacks for this test. `deviation` says why the
 * test does not hold for ASP.NET Core; other servers skip it.
 */
export function eachTransport(name, body, { transports = TRANSPORTS, ...options } = {}) {
  declare(name, body, combinations(transports), options);
}

/** As `eachTransport`, with WebSockets only. */
export function overWebSockets(name, body, options) {
  eachTransport(name, body, { ...options, transports: ['WebSockets'] });
}

/** Declares `name` once for each hub protocol. The client selects the transport. */
export function eachProtocol(name, body, options = {}) {
  declare(name, body, PROTOCOLS.map((protocol) => ({ protocol })), options);
}

function declare(name, body, runs, options) {
  const { knownFailure, deviation, fixture: FixtureClass = Fixture, exclusive = false } = options;
  const { timeout = TEST_TIMEOUT_MS } = options;
  const declareTests = () =>
    describe(name, { concurrency: !exclusive }, () => {
      for (const { transport, protocol } of runs) {
        test([transport, protocol].filter(Boolean).join(', '), { timeout }, async (context) => {
          const fixture = new FixtureClass(server.url, transport, protocol);
          try {
            if (deviation && !(await fixture.stats())) return context.skip(deviation);
            await expectKnownFailure(knownFailure, () => body(fixture));
          } finally {
            await fixture.end();
          }
        });
      }
    });
  if (exclusive) declareTests();
  else concurrent.push(declareTests);
}

// `setImmediate` returns after the whole file has been evaluated, so the list is complete then.
const concurrent = [];
describe('concurrent', { concurrency: CONCURRENT_TESTS }, async () => {
  await setImmediate();
  for (const declareTests of concurrent) declareTests();
});
