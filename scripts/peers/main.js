// npm run test:peers: the tests of other shutdown packages, with drain() behind their API. docs/maintainers/peers.md says how,
// and holds the table that this prints.
//
//   npm run test:peers                           what npm has
//   npm run test:peers -- --from FOLDER          also the suites whose checkouts are in there, by name
//   npm run test:peers -- --only stoppable       one of them
//   npm run test:peers -- --docs                 … and writes the table
//
// The exit status is 1 if a test that the peer passes fails here without a reason in reasons.js.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkout } from '../copy.js';
import { cached, cleanEnvironment } from '../node-versions.js';
import { writeSection } from '../page.js';
import { reasons } from './reasons.js';
import { suites } from './suites.js';

const page = join(checkout, 'docs/maintainers/peers.md');
const suiteTimeout = 300_000;
const mostRuns = 3;

/** A folder with the peer and what its tests need, or null where it cannot be had. */
async function open(name, { npm, dependencies }, from) {
  const source = from && join(from, name);
  if (!npm && !(source && existsSync(source))) return null;
  const folder = mkdtempSync(join(tmpdir(), `listenfds-peer-${name}-`));
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
  const [file, ...args] = apart([process.execPath, ...command]);
  const env = { ...cleanEnvironment(), NODE_ENV: 'test', LISTENFDS_DIST: join(checkout, 'dist/index.js') };
  const child = spawn(file, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (errors = (errors + text).slice(-2000)));
  const timer = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), suiteTimeout);
  await once(child, 'close');
  clearTimeout(timer);
  try {
    return readResults(output, kind);
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

async function compare(name, suite, from) {
  const folder = await open(name, suite, from);
  if (!folder) return null;
  console.error(`${name} …`);
  try {
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const theirs = await runUntilPassed(folder, suite);
    for (const [file, adapter] of Object.entries(suite.adapted)) {
      cpSync(join(import.meta.dirname, 'adapters', adapter), join(folder, file));
    }
    const ours = await runUntilPassed(folder, suite);
    const lost = [...theirs].filter(([title, passed]) => passed && ours.get(title) !== true).map(([title]) => title);
    const won = [...ours].filter(([title, passed]) => passed && theirs.get(title) !== true).map(([title]) => title);
    return {
      name,
      version,
      total: theirs.size,
      theirs: [...theirs.values()].filter(Boolean).length,
      lost,
      won,
      passed: [...ours.values()].filter(Boolean).length,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const reasonOf = (name, title) => reasons[name]?.[title];

function report(rows) {
  const header = ['Suite', 'Version', 'Tests', 'Pass with itself', 'Pass with drain()', 'Without a reason'];
  const lines = rows.map(({ name, version, total, theirs, passed, lost }) => [
    name,
    version,
    total,
    theirs,
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
      'Pass with drain() alone',
      ({ won }) => won,
      (name, title) => `- ${name}: ${title}`,
    ),
  ].join('\n\n');
}

const { values } = parseArgs({
  options: { from: { type: 'string' }, only: { type: 'string' }, docs: { type: 'boolean' } },
});
const asked = values.only?.split(',') ?? Object.keys(suites);
const rows = [];
for (const name of asked) {
  const row = await compare(name, suites[name], values.from);
  if (row) rows.push(row);
  else console.error(`${name}: npm has no tests of it, and there is no checkout (--from)`);
}
console.log(report(rows));
if (values.docs) await writeSection(page, 'results', report(rows));
process.exitCode = rows.some(({ name, lost }) => lost.some((title) => !reasonOf(name, title))) ? 1 : 0;
