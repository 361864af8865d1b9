// npm run test:node: Node's own tests with this package in between, against the same tests without it. What fails on one
// side alone has to be in reasons.js. docs/maintainers/node-tests.md says how, and holds the table that this prints.
//
//   npm run test:node                                    every area, every side, every Node.js
//   npm run test:node -- --only 20,24 --side passed      some of it
//   npm run test:node -- --area http,net --sample 100    some tests of two areas, the same ones each time
//   npm run test:node -- test-net-pingpong.js            one test, with what it prints
//   npm run test:node -- --docs                          nothing, but write the last results to the page
//
// The exit status is 1 if a difference has no reason.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkout } from '../copy.js';
import { cache, cleanEnvironment, majors, nodeBinary } from '../node-versions.js';
import { writeSection } from '../page.js';
import { reasonFor, reasons } from './reasons.js';
import { sides } from './sides.js';
import { testsOf } from './sources.js';

/** The beginnings of the names in test/parallel. */
const areas = ['child-process', 'cluster', 'dgram', 'http', 'http2', 'https', 'net', 'tls'];

const resultsFile = join(cache, 'node-tests.json');
const page = join(checkout, 'docs/maintainers/node-tests.md');
/** A test hangs that takes that many times as long as without the package, and this long at least. */
const slower = 5;
const leastTimeout = 10_000;
const plainTimeout = 60_000;

const area = (name) => areas.findLast((one) => name.startsWith(`test-${one}-`));

/** A test's place in a sample: the same on every machine, and spread over the areas. */
const rank = (name) => createHash('sha256').update(name).digest('hex');

function choose(folder, wanted, sample) {
  const names = readdirSync(join(folder, 'test/parallel')).filter(
    (name) => name.endsWith('.js') || name.endsWith('.mjs'),
  );
  const chosen = names.filter((name) =>
    positionals.length > 0 ? positionals.includes(name) : wanted.includes(area(name)),
  );
  return sample ? chosen.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, sample) : chosen;
}

/** The options that a test asks for in its first lines. */
function flagsOf(file) {
  return [...readFileSync(file, 'utf8').matchAll(/^\/\/ Flags: (.*)$/gm)].flatMap(([, flags]) =>
    flags.trim().split(/\s+/),
  );
}

/** @returns {Promise<{ passed: boolean, why: string }>} */
async function runOnce({ node, folder, name, limit = plainTimeout }, side, slot) {
  const file = join(folder, 'test/parallel', name);
  const passed = (await side.passed?.()) ?? [];
  const ports = passed.map(({ port }) => port);
  const env = {
    ...cleanEnvironment(),
    TEST_THREAD_ID: String(slot),
    TEST_PARALLEL: '1',
    NODE_TEST_KNOWN_GLOBALS: '0', // a newer Node.js has more than its tests know of
    NODE_TEST_DIR: mkdtempSync(join(tmpdir(), 'listenfds-node-test-')),
    ...(passed.length > 0
      ? { LISTEN_FDS: String(passed.length), LISTEN_FDNAMES: ports.join(':'), NODE_TESTS_PORTS: ports.join() }
      : {}),
  };
  // The pid that a shell has is the one that exec keeps.
  const start = `${passed.length > 0 ? 'export LISTEN_PID=$$; ' : ''}exec "$@"`;
  const command = [node, ...side.args, ...flagsOf(file), file];
  const child = spawn('sh', ['-c', start, 'sh', ...command], {
    cwd: dirname(file),
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', ...passed.map(({ fd }) => fd)],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => (output = (output + text).slice(-20_000)));
  }
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    end();
  }, limit);
  const end = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // the group has ended
    }
  };
  const [code, signal] = await once(child, 'exit');
  clearTimeout(timer);
  end();
  for (const { fd } of passed) closeSync(fd);
  rmSync(env.NODE_TEST_DIR, { recursive: true, force: true });
  if (code !== 0 && positionals.length > 0) console.error(output);
  if (code === 0) return { passed: true, why: '' };
  const line = /^(?:.*Error.*|.*mismatched .*calls.*|AssertionError.*)$/m.exec(output)?.[0] ?? '';
  return { passed: false, why: timedOut ? 'timeout' : `${code ?? signal}: ${line.trim().slice(0, 200)}` };
}

/** Work for a few at a time. */
async function inSlots(items, work) {
  const queue = [...items];
  const worker = async (slot) => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item, slot);
  };
  await Promise.all(Array.from({ length: Number(values.jobs) }, (_, slot) => worker(slot)));
}

/** Fails with the package and passes without, twice more alone: by then it is not chance. */
async function differs(test, side) {
  let last;
  for (let i = 0; i < 2; i++) {
    last = await runOnce(test, side, 0);
    if (last.passed || !(await runOnce(test, sides.plain, 0)).passed) return null;
  }
  return last.why;
}

async function compare(major, wanted, names, sample) {
  const node = await nodeBinary(major);
  const { folder, of } = testsOf(major);
  const chosen = choose(folder, wanted, sample);
  const passing = [];
  const limits = new Map();
  const test = (name) => ({ node, folder, name, limit: limits.get(name) });
  console.error(`Node.js ${major}: ${chosen.length} tests of ${of}, plain …`);
  await inSlots(chosen, async (name, slot) => {
    const began = Date.now();
    if (!(await runOnce(test(name), sides.plain, slot)).passed) return;
    passing.push(name);
    limits.set(name, Math.max(leastTimeout, slower * (Date.now() - began)));
  });
  const version = execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim();
  const rows = [];
  for (const name of names) {
    console.error(`Node.js ${major}: ${passing.length} that pass, ${sides[name].what} …`);
    const began = Date.now();
    const suspects = [];
    await inSlots(passing, async (one, slot) => {
      if (!(await runOnce(test(one), sides[name], slot)).passed) suspects.push(one);
    });
    const different = [];
    for (const one of suspects.sort()) {
      const why = await differs(test(one), sides[name]);
      if (why !== null) different.push({ test: one, why, reason: reasonFor(name, one) });
    }
    rows.push({
      side: name,
      node: version,
      tests: of,
      sample: sample || null,
      areas: wanted,
      ran: passing.length,
      left: chosen.length - passing.length,
      different,
      minutes: (Date.now() - began) / 60_000,
      when: new Date().toISOString().slice(0, 10),
    });
    if (wanted.length === areas.length && positionals.length === 0) keep(rows); // who stops it has what was done
    for (const { test: one, why, reason } of different) console.error(`  ${reason ?? 'NO REASON'}  ${one}  ${why}`);
  }
  return rows;
}

// ---------------------------------------------------------------------------------------------------------------------

const header = ['Node.js', 'Tests of', 'With', 'Compared', 'Differ', 'Without a reason', 'Minutes'];

function table(rows) {
  const lines = rows.map(({ node, tests, side, ran, different, minutes }) => [
    node,
    tests,
    sides[side].what,
    ran,
    different.length,
    different.filter(({ reason }) => !reason).length,
    minutes.toFixed(1),
  ]);
  return [header, header.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function report(rows) {
  const parts = [table(rows)];
  const found = new Map();
  for (const { side, node, different } of rows) {
    for (const { test, reason } of different) {
      const key = `${reason ?? ''}\0${test}\0${side}`;
      found.set(key, [...(found.get(key) ?? []), node.split('.')[0]]);
    }
  }
  for (const reason of [...Object.keys(reasons), '']) {
    const lines = [...found]
      .map(([key, nodes]) => [key.split('\0'), nodes])
      .filter(([[which]]) => which === reason)
      .map(([[, test, side], nodes]) => `- ${test} (${side}; Node.js ${nodes.join(', ')})`);
    if (lines.length > 0) parts.push(`${reason ? reasons[reason] : 'Without a reason'}:\n\n${lines.sort().join('\n')}`);
  }
  return parts.join('\n\n');
}

/** The last result of each comparison, with these as the newest. */
function keep(rows) {
  const key = ({ node, side }) => `${node.split('.')[0]} ${side}`;
  const fresh = new Set(rows.map(key));
  const before = existsSync(resultsFile) ? JSON.parse(readFileSync(resultsFile, 'utf8')) : [];
  const all = [...before.filter((row) => !fresh.has(key(row))), ...rows];
  const order = Object.keys(sides);
  all.sort(
    (a, b) => Number.parseInt(a.node) - Number.parseInt(b.node) || order.indexOf(a.side) - order.indexOf(b.side),
  );
  mkdirSync(cache, { recursive: true });
  writeFileSync(resultsFile, JSON.stringify(all, null, 2));
  return all;
}

async function writePage(rows) {
  // What has got its reason since is read with it.
  for (const row of rows) for (const one of row.different) one.reason = reasonFor(row.side, one.test);
  const samples = [...new Set(rows.map(({ sample }) => sample))];
  const what = samples.map((sample) =>
    sample ? `a sample of ${sample} tests of ${rows[0].areas.join(', ')}` : 'every test',
  );
  const days = [...new Set(rows.map(({ when }) => when))].sort();
  await writeSection(page, 'results', `Of ${days.join(' and ')}, ${what.join('; ')}:\n\n${report(rows)}`);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    side: { type: 'string' },
    area: { type: 'string' },
    sample: { type: 'string' },
    jobs: { type: 'string', default: '2' },
    docs: { type: 'boolean' },
  },
});

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
  await writePage(keep([]));
  process.exit();
}
const wanted = listOf(values.area, areas, 'area');
const names = listOf(values.side, Object.keys(sides).slice(1), 'side');
const rows = [];
for (const major of listOf(values.only, majors.map(String), 'Node.js').map(Number)) {
  rows.push(...(await compare(major, wanted, names, Number(values.sample ?? 0))));
}
console.log(report(rows));
process.exitCode = rows.some(({ different }) => different.some(({ reason }) => !reason)) ? 1 : 0;
