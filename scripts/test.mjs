// `npm test`: builds everything once, then runs the Rust tests, the tests with the real client and
// the browser tests concurrently. Fails if a suite fails or runs no test.
import { readdir } from 'node:fs/promises';
import { exampleBinary } from '../js-client-tests/support/process.mjs';
import { ROOT, installNodePackages, must, run } from './run.mjs';

const CONCURRENT_FILES = 2;
/** Timeout of a whole test file; only a test that hangs reaches it. */
const FILE_TIMEOUT_MS = 600_000;

/** All builds have the same features, so that each crate is built once. */
const WORKSPACE = ['--workspace', '--all-features'];

const SUITES = [
  { name: 'cargo test', counts: cargoCounts, start: () => run('cargo', ['test', ...WORKSPACE, '--no-fail-fast']) },
  { name: 'client tests', counts: nodeCounts, start: () => nodeTests('js-client-tests') },
  { name: 'browser tests', counts: nodeCounts, start: () => nodeTests('js-client-tests/browser') },
];

try {
  await installNodePackages({ dev: true });
  await must('cargo', ['test', ...WORKSPACE, '--no-run']);
  // The other suites run the examples. `cargo test` builds those with tests only as tests.
  await must('cargo', ['build', ...WORKSPACE, '--examples']);
  // Otherwise `protocol-tests` builds the example once more.
  process.env.CONFORMANCE ??= exampleBinary('conformance');
  const results = await Promise.all(SUITES.map(runSuite));
  process.exitCode = summarise(results) ? 0 : 1;
} catch (error) {
  console.error(`\n${error.message}`);
  process.exitCode = 1;
}

async function runSuite({ name, counts, start }) {
  const began = performance.now();
  const { code, output } = await start();
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  // The output of each suite is printed at once, so that concurrent suites stay readable.
  console.log(`\n──── ${name} ────\n${output.trimEnd()}`);
  const { passed, failed } = counts(output);
  return { name, code, passed, failed, seconds };
}

function summarise(results) {
  console.log('\n──── summary ────');
  let [passed, failed, succeeded] = [0, 0, true];
  for (const suite of results) {
    const isFailed = suite.code !== 0 || suite.failed > 0 || suite.passed === 0;
    const ending = suite.code === 0 ? '' : `, exit code ${suite.code}`;
    const mark = isFailed ? 'FAILED' : 'ok';
    const counts = `${suite.passed} passed, ${suite.failed} failed${ending}`;
    console.log(`${mark.padEnd(7)} ${suite.name.padEnd(14)} ${counts} (${suite.seconds} s)`);
    if (suite.passed === 0) console.log(`        ${suite.name}: no test passed`);
    passed += suite.passed;
    // A suite that failed without a failed test, such as a crash, counts as one failed test.
    failed += suite.failed > 0 || !isFailed ? suite.failed : 1;
    succeeded &&= !isFailed;
  }
  console.log(`\n${passed} passed, ${failed} failed`);
  return succeeded;
}

async function nodeTests(folder) {
  const names = (await readdir(`${ROOT}/${folder}`)).filter((name) => name.endsWith('.test.mjs')).sort();
  // Files that share a server would receive each other's broadcasts.
  const files = process.env.SERVER ? 1 : CONCURRENT_FILES;
  const options = ['--test', '--test-reporter=spec', `--test-concurrency=${files}`, `--test-timeout=${FILE_TIMEOUT_MS}`];
  return run(process.execPath, [...options, ...names.map((name) => `${folder}/${name}`)]);
}

function cargoCounts(output) {
  const results = [...output.matchAll(/^test result: .*?(\d+) passed; (\d+) failed/gm)];
  const sum = (group) => results.reduce((total, result) => total + Number(result[group]), 0);
  return { passed: sum(1), failed: sum(2) };
}

function nodeCounts(output) {
  const count = (word) => Number(new RegExp(`^ℹ ${word} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);
  return { passed: count('pass'), failed: count('fail') + count('cancelled') };
}
