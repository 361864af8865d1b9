// npm run test:node: Node's own tests with this package in between, against the same tests without it. What fails on one
// side alone has to be in reasons.js. docs/maintainers/node-tests.md says how, and holds the table that this prints.
//
//   npm run test:node                                    every side, every Node.js, where the last run stopped
//   npm run test:node -- --only 20,24 --side passed      some of it
//   npm run test:node -- --sample 100                    a hundred tests of each, the same ones each time
//   npm run test:node -- --minutes 9                     as far as it comes
//   npm run test:node -- --again                         forgets what the last runs found
//   npm run test:node -- --side drain test-net-pingpong.js     one test, with what it prints
//   npm run test:node -- --docs                          nothing, but write what is known to the page
//
// The exit status is 1 if a difference has no reason, 3 if --minutes was not enough.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkout } from '../copy.js';
import { majors, nodeBinary } from '../node-versions.js';
import { writeSection } from '../page.js';
import { differencesOf, report } from './report.js';
import { allResults, keepResults, readResults } from './results.js';
import { runOnce } from './run.js';
import { sides } from './sides.js';
import { testsOf } from './sources.js';

/** The beginnings of the names in test/parallel. */
const areas = ['child-process', 'cluster', 'dgram', 'http', 'http2', 'https', 'net', 'tls'];

const page = join(checkout, 'docs/maintainers/node-tests.md');
/** A test hangs that takes that many times as long as without the package, and this long at least. */
const slower = 5;
const leastTimeout = 10_000;
const firstTimeout = 30_000;
const plainTimeout = 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    side: { type: 'string' },
    sample: { type: 'string', default: 'Infinity' },
    minutes: { type: 'string', default: 'Infinity' },
    jobs: { type: 'string', default: '2' },
    again: { type: 'boolean' },
    docs: { type: 'boolean' },
  },
});
const deadline = performance.now() + Number(values.minutes) * 60_000;

/** A test's place in the order: the same on every machine, and mixed, so that the first ones are a sample. */
const rank = (name) => createHash('sha256').update(name).digest('hex');

/** The tests of the areas that a side can change, in the order of their ranks. */
function testsFor(side, folder) {
  const parallel = join(folder, 'test/parallel');
  return readdirSync(parallel)
    .filter((name) => /\.m?js$/.test(name) && areas.some((area) => name.startsWith(`test-${area}-`)))
    .filter((name) => !side.concerns || side.concerns.test(readFileSync(join(parallel, name), 'utf8')))
    .sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

/** Work for a few at a time. */
async function inSlots(items, work) {
  const queue = [...items];
  const worker = async (slot) => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item, slot);
  };
  await Promise.all(Array.from({ length: Number(values.jobs) }, (_, slot) => worker(slot)));
}

/**
 * It differs if it fails on the side three times and passes without the package each time: by then it is not chance.
 *
 * @returns {Promise<string>} as in Results.tests
 */
async function compare(test, side, slot) {
  let found = await runOnce({ ...test, limit: firstTimeout }, side, slot);
  for (let i = 0; i < 2 && !found.passed; i++) {
    const plain = await runOnce({ ...test, limit: plainTimeout }, sides.plain, slot);
    if (!plain.passed) return 'plain';
    found = await runOnce({ ...test, limit: Math.max(leastTimeout, slower * plain.ms) }, side, slot);
  }
  return found.passed ? '' : found.why;
}

async function compareAll(major, name) {
  const side = sides[name];
  const node = await nodeBinary(major);
  const { folder, of } = testsOf(major);
  const all = testsFor(side, folder);
  const results = readResults(major, name);
  if (values.again) Object.assign(results, { days: [], tests: {} });
  const version = execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim();
  Object.assign(results, { node: version, of, all: all.length });
  const wanted = all.slice(0, Number(values.sample)).filter((test) => !['', 'plain'].includes(results.tests[test]));
  console.error(`Node.js ${version}, ${side.what}: ${wanted.length} of ${all.length} tests to run`);
  let left = 0;
  await inSlots(wanted, async (test, slot) => {
    if (performance.now() > deadline) return void left++;
    results.tests[test] = await compare({ node, folder, name: test }, side, slot);
    results.days = [...new Set([...results.days, new Date().toISOString().slice(0, 10)])];
    keepResults(results);
  });
  for (const { test, why, reason } of differencesOf(results))
    console.error(`  ${reason ?? 'NO REASON'}  ${test}  ${why}`);
  return { results, left };
}

async function runTests(major, name, tests) {
  const node = await nodeBinary(major);
  const { folder } = testsOf(major);
  for (const test of tests) {
    const { passed, why, output } = await runOnce({ node, folder, name: test, limit: plainTimeout }, sides[name], 0);
    console.log(`Node.js ${major}, ${name}: ${test} ${passed ? 'passes' : `fails: ${why}`}\n${output}`);
  }
}

function listOf(value, all, what) {
  const asked = value?.split(',') ?? all;
  const unknown = asked.filter((one) => !all.includes(one));
  if (unknown.length > 0) {
    console.error(`There is no ${what} ${unknown.join(', ')}. There are: ${all.join(', ')}`);
    process.exit(2);
  }
  return asked;
}

if (values.docs) {
  const all = allResults();
  const days = [...new Set(all.flatMap((results) => results.days))].sort();
  await writeSection(page, 'results', `Of ${days.join(' and ')}:\n\n${report(all)}`);
  process.exit();
}
const asked = listOf(values.only, majors.map(String), 'Node.js').flatMap((major) =>
  listOf(values.side, Object.keys(sides), 'side')
    .filter((name) => values.side || name !== 'plain')
    .map((name) => [Number(major), name]),
);
if (positionals.length > 0) {
  for (const [major, name] of asked) await runTests(major, name, positionals);
  process.exit();
}
const found = [];
for (const [major, name] of asked) found.push(await compareAll(major, name));
console.log(report(found.map(({ results }) => results)));
if (found.some(({ left }) => left > 0)) process.exitCode = 3;
if (found.some(({ results }) => differencesOf(results).some(({ reason }) => !reason))) process.exitCode = 1;
