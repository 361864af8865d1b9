// npm run test:peers: the tests of other packages, with this one behind their API. docs/maintainers/peers.md says how, and
// holds the table that this prints.
//
//   npm run test:peers                           what npm and Debian have
//   npm run test:peers -- --from FOLDER          also the suites whose checkouts are in there, by name
//   npm run test:peers -- --only stoppable       one of them
//   npm run test:peers -- --docs                 nothing, but write the last result of each to the page
//
// The exit status is 1 if a test that the peer passes fails here without a reason in reasons.js.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkout } from '../copy.js';
import { cache, cached, cleanEnvironment } from '../node-versions.js';
import { writeSection } from '../page.js';
import { versionFile } from './debian-source.js';
import { goEnvironment } from './go.js';
import { reasons } from './reasons.js';
import { suites } from './suites.js';

const page = join(checkout, 'docs/maintainers/peers.md');
const resultsFile = join(cache, 'peers.json');
const suiteTimeout = 300_000;
const mostRuns = 3;

/** A folder with the peer and what its tests need, or null where it cannot be had. */
async function open(name, { npm, dependencies, source: own, command }, from) {
  if (own || !command) {
    const folder = mkdtempSync(join(tmpdir(), `listenfds-peer-${name.replaceAll(' ', '-')}-`));
    if (own) cpSync(own(), folder, { recursive: true });
    return folder;
  }
  const source = from && join(from, name);
  if (!npm && !(source && existsSync(source))) return null;
  const folder = mkdtempSync(join(tmpdir(), `listenfds-peer-${name.replaceAll(' ', '-')}-`));
  if (npm) {
    const packed = execFileSync('npm', ['pack', '--silent', npm], { cwd: folder, encoding: 'utf8' }).trim();
    execFileSync('tar', ['-xzf', packed, '--strip-components=1'], { cwd: folder });
  } else cpSync(source, folder, { recursive: true });
  const installed = await cached(`peer-${name}`, dependencies);
  cpSync(join(installed, 'node_modules'), join(folder, 'node_modules'), { recursive: true });
  return folder;
}

/** Peers listen on fixed ports: in a network of their own nobody has them. */
function apart(command) {
  if (process.getuid() !== 0) return command;
  return ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', ...command];
}

function readResults(output, kind) {
  if (kind === 'go') {
    const found = [...output.matchAll(/^ *--- (PASS|FAIL): (\S+)/gm)].map(([, result, name]) => [
      name,
      result === 'PASS',
    ]);
    // One that has others in it is not counted itself.
    return new Map(found.filter(([name]) => !found.some(([other]) => other.startsWith(`${name}/`))));
  }
  if (kind === 'tape') {
    // A test is a comment, and what it asserts follows.
    const tests = output.split(/^# /m).slice(1);
    const found = tests.map((test) => [test.split('\n')[0].trim(), !/^not ok /m.test(test)]);
    return new Map(found.filter(([title]) => !/^(tests|pass|fail|ok)\b/.test(title)));
  }
  if (kind === 'mocha') {
    const { passes, failures } = JSON.parse(output.slice(output.indexOf('{\n  "stats"')));
    return new Map([...passes.map((one) => [one.fullTitle, true]), ...failures.map((one) => [one.fullTitle, false])]);
  }
  return new Map(
    [...output.matchAll(/^(not )?ok \d+ - (.*?)(?: # .*)?$/gm)].map(([, not, title]) => [
      title.replaceAll(' › ', ' '),
      !not,
    ]),
  );
}

async function run(folder, { command, output: kind }) {
  const [file, ...args] = apart(kind === 'go' ? command : [process.execPath, ...command]);
  const env = {
    ...cleanEnvironment(),
    NODE_ENV: 'test',
    LISTENFDS_DIST: join(checkout, 'dist/index.js'),
    ...(kind === 'go' ? goEnvironment(folder) : {}),
  };
  const child = spawn(file, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (errors = (errors + text).slice(-2000)));
  const timer = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), suiteTimeout);
  await once(child, 'close');
  clearTimeout(timer);
  try {
    const results = readResults(output, kind);
    if (results.size === 0) throw new Error('it ran no test');
    return results;
  } catch (cause) {
    throw new Error(`no results: ${errors || output.slice(-2000)}`, { cause });
  }
}

/** Passing once is enough: these tests hold milliseconds against a machine that does other things as well. */
async function runUntilPassed(folder, suite) {
  let found = await run(folder, suite);
  for (let i = 1; i < mostRuns && ![...found.values()].every(Boolean); i++) {
    const again = await run(folder, suite);
    found = new Map([...found].map(([title, passed]) => [title, passed || again.get(title) === true]));
  }
  return found;
}

function versionOf(folder) {
  const debian = join(folder, versionFile);
  if (existsSync(debian)) return readFileSync(debian, 'utf8');
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version;
}

const scenariosOf = ({ scenarios }) => ({
  command: [join(import.meta.dirname, 'scenarios', scenarios)],
  output: 'tap',
});

async function compare(name, suite, from) {
  const folder = await open(name, suite, from);
  if (!folder) return null;
  console.error(`${name} …`);
  try {
    const version = suite.version ?? versionOf(folder);
    for (const [file, text] of Object.entries(suite.prepared ?? {})) writeFileSync(join(folder, file), text);
    const theirs = suite.command ? await runUntilPassed(folder, suite) : null;
    for (const [file, adapter] of Object.entries(suite.adapted)) {
      if (adapter === null) rmSync(join(folder, file));
      else cpSync(join(import.meta.dirname, 'adapters', adapter), join(folder, file));
    }
    const ours = await runUntilPassed(folder, suite.scenarios ? scenariosOf(suite) : suite);
    const expected = theirs ?? new Map([...ours.keys()].map((title) => [title, true]));
    const lost = [...expected].filter(([title, passed]) => passed && ours.get(title) !== true).map(([title]) => title);
    const won = [...ours].filter(([title, passed]) => passed && expected.get(title) !== true).map(([title]) => title);
    return {
      name,
      version,
      node: process.versions.node,
      when: new Date().toISOString().slice(0, 10),
      total: expected.size,
      theirs: theirs && [...theirs.values()].filter(Boolean).length,
      lost,
      won,
      passed: [...ours.values()].filter(Boolean).length,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A reason for all titles that begin alike has a key that ends with a star. */
function reasonOf(name, title) {
  const all = reasons[name] ?? {};
  const key = Object.keys(all).find((one) => one.endsWith('*') && title.startsWith(one.slice(0, -1)));
  return all[title] ?? all[key];
}

function report(rows) {
  const header = ['Suite', 'Version', 'Tests', 'Pass with itself', 'Pass with listenfds', 'Without a reason'];
  const lines = rows.map(({ name, version, total, theirs, passed, lost }) => [
    name,
    version,
    total,
    theirs ?? '-',
    passed,
    lost.filter((title) => !reasonOf(name, title)).length,
  ]);
  const table = [header, header.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const list = (title, of, line) => {
    const all = rows.flatMap((row) => of(row).map((one) => line(row.name, one)));
    return all.length > 0 ? [`${title}:\n\n${all.join('\n')}`] : [];
  };
  return [
    table,
    ...list(
      'Pass with the peer alone',
      ({ lost }) => lost,
      (name, title) => `- ${name}: ${title}: ${reasonOf(name, title) ?? 'NO REASON'}`,
    ),
    ...list(
      'Pass with listenfds alone',
      ({ won }) => won,
      (name, title) => `- ${name}: ${title}`,
    ),
  ].join('\n\n');
}

/** The last result of each suite, with these as the newest. */
function keep(rows) {
  const before = existsSync(resultsFile) ? JSON.parse(readFileSync(resultsFile, 'utf8')) : [];
  const last = new Map([...before, ...rows].map((row) => [row.name, row]));
  const all = Object.keys(suites).flatMap((name) => last.get(name) ?? []);
  mkdirSync(cache, { recursive: true });
  writeFileSync(resultsFile, JSON.stringify(all, null, 2));
  return all;
}

const { values } = parseArgs({
  options: { from: { type: 'string' }, only: { type: 'string' }, docs: { type: 'boolean' } },
});
if (values.docs) {
  const all = keep([]);
  const days = [...new Set(all.map(({ when }) => when))].sort().join(' and ');
  const nodes = [...new Set(all.map(({ node }) => node))].join(', ');
  await writeSection(page, 'results', `Of ${days}, on Node.js ${nodes}:\n\n${report(all)}`);
  process.exit();
}
const asked = values.only?.split(',') ?? Object.keys(suites);
const rows = [];
for (const name of asked) {
  const row = await compare(name, suites[name], values.from).catch((error) => {
    console.error(`${name}: ${error.message}`);
    process.exitCode = 1;
    return undefined;
  });
  if (row === undefined) continue;
  if (row === null) {
    console.error(`${name}: npm has no tests of it, and there is no checkout (--from)`);
    continue;
  }
  rows.push(row);
  keep([row]);
}
console.log(report(rows));
if (rows.some(({ name, lost }) => lost.some((title) => !reasonOf(name, title)))) process.exitCode = 1;
