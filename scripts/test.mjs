// `npm test`: builds everything once, then runs the Rust tests, the tests with the real client and the browser test
// side by side. Fails if any of them fails or runs no test.
import { readdir } from 'node:fs/promises';
import { exampleBinary } from '../js-client-tests/support/process.mjs';
import { ROOT, installNodePackages, must, run } from './run.mjs';

const FILES_AT_ONCE = 2;
/** For a whole file of tests: only one that never ends takes this long. */
const FILE_MS = 600_000;

/** One set of features, so that everything is built once. */
const WORKSPACE = ['--workspace', '--all-features'];

const SUITES = [
  { name: 'cargo test', counts: cargoCounts, start: () => run('cargo', ['test', ...WORKSPACE, '--no-fail-fast']) },
  { name: 'client tests', counts: nodeCounts, start: () => nodeTests('js-client-tests') },
  { name: 'browser tests', counts: nodeCounts, start: () => nodeTests('js-client-tests/browser') },
];

try {
  await installNodePackages();
  await must('cargo', ['test', ...WORKSPACE, '--no-run']);
  // The other two suites start them; those with tests of their own are built as tests alone so far.
  await must('cargo', ['build', ...WORKSPACE, '--examples']);
  // Nobody builds it again.
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
  // A suite's output is printed in one piece, so that those running side by side stay readable.
  console.log(`\n──── ${name} ────\n${output.trimEnd()}`);
  const { passed, failed } = counts(output);
  return { name, code, passed, failed, seconds };
}

function summarise(results) {
  console.log('\n──── summary ────');
  let [passed, failed, good] = [0, 0, true];
  for (const suite of results) {
    const broken = suite.code !== 0 || suite.failed > 0 || suite.passed === 0;
    const ending = suite.code === 0 ? '' : `, exit code ${suite.code}`;
    const mark = broken ? 'FAILED' : 'ok';
    const counts = `${suite.passed} passed, ${suite.failed} failed${ending}`;
    console.log(`${mark.padEnd(7)} ${suite.name.padEnd(14)} ${counts} (${suite.seconds} s)`);
    if (suite.passed === 0) console.log(`        ${suite.name} ran no test that passed`);
    passed += suite.passed;
    // A suite that broke without a failed test, such as one that crashed, counts as one.
    failed += suite.failed > 0 || !broken ? suite.failed : 1;
    good &&= !broken;
  }
  console.log(`\n${passed} passed, ${failed} failed`);
  return good;
}

async function nodeTests(folder) {
  const names = (await readdir(`${ROOT}/${folder}`)).filter((name) => name.endsWith('.test.mjs')).sort();
  // Most of a file's time is waiting, but files that share a server would hear each other's broadcasts.
  const files = process.env.SERVER ? 1 : FILES_AT_ONCE;
  const options = ['--test', '--test-reporter=spec', `--test-concurrency=${files}`, `--test-timeout=${FILE_MS}`];
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
