// npm run test:matrix: the tests against the package as it is published, on every Node.js that it is for, with musl instead
// of glibc, on arm64, and under this machine's systemd and the newest. docs/maintainers/matrix.md says how, and holds the table that this prints.
//
//   npm run test:matrix                                      everything
//   npm run test:matrix -- --only node22,systemd-sid         some of it; --list says what there is
//   npm run test:matrix -- --only node26 test/admit/peer.test.ts   some files of it
//   npm run test:matrix -- --docs                            nothing, but write the last results to docs/maintainers/matrix.md
//
// The exit status is 1 when a test failed. What failed beside others is run once more by itself: who passes then was short
// of time, not wrong, and is told apart in the table.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { cache, cleanEnvironment, majors, nodeBinary } from './node-versions.js';
import { newestSystemd } from './newest-systemd.js';
import { addSources, checkout, openFolder } from './copy.js';
import { buildInsides } from './insides.js';
import { emulated, underEmulator } from './emulated.js';
import { writeSection } from './page.js';
import { mountPoint, muslNode } from '../test/musl/host.js';

/** The files that run programs of this library; the rest is about the checkout, and other projects' tools, many of them for glibc. */
const onMusl =
  /^test\/(?:admit|lend|listen|manager|open|receive|service|sockets|take|text)\/|^test\/programs\/spawn|^test\/system\/errors/;

const resultsFile = join(cache, 'matrix.json');
const page = join(checkout, 'docs/maintainers/matrix.md');

/** What tap is told to run. */
const testFiles = () =>
  readdirSync(join(checkout, 'test'), { recursive: true })
    .filter((file) => /^[a-z]+\/[^/]+\.test\.ts$/.test(file))
    .map((file) => `test/${file}`);
const units = (files) => files.filter((file) => !file.startsWith('test/systemd/'));
const booted = (files) => files.filter((file) => file.startsWith('test/systemd/'));

// ---------------------------------------------------------------------------------------------------------------------
// What is tested: a target has parts, each of which becomes a row.

/** @typedef {{ what: string, files: string[], node: string, systemd?: string, emulator?: boolean, musl?: boolean }} Part */

/** @type {Record<string, (files: string[]) => Promise<Part[]>>} */
const targets = {};
for (const major of majors) {
  targets[`node${major}`] = async (files) => {
    const node = await nodeBinary(major);
    return [
      { what: 'the suite', files: units(files), node },
      { what: 'a booted systemd', files: booted(files), node, systemd: '/' },
    ];
  };
}
for (const major of majors) {
  targets[`musl${major}`] = async (files) => {
    const own = units(files).filter((file) => onMusl.test(file));
    return [{ what: 'with musl, the library', files: own, node: await muslNode(major), musl: true }];
  };
}
targets.arm64 = async (files) => {
  const own = files.filter((file) => emulated.includes(file));
  return [{ what: 'the native part', files: own, node: await nodeBinary(22, 'arm64'), emulator: true }];
};
targets['systemd-sid'] = async (files) => [
  { what: 'a booted systemd', files: booted(files), node: process.execPath, systemd: newestSystemd() },
];

// ---------------------------------------------------------------------------------------------------------------------
// The package, and its tests beside it

/**
 * A folder with the unpacked tarball, and in it everything that is tested with it, from the checkout: `import 'listenfds'`
 * finds the package itself.
 */
async function unpackWithTests() {
  const folder = openFolder('matrix');
  const options = { cwd: checkout, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] };
  const tarball = execFileSync(process.execPath, ['scripts/pack.js', folder], options).trim();
  execFileSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', folder]);
  rmSync(join(folder, 'package.json')); // the checkout's has what tap reads, and the same exports
  addSources(folder);
  await buildInsides(folder);
  return { folder, filename: basename(tarball), size: statSync(tarball).size };
}

// ---------------------------------------------------------------------------------------------------------------------
// Running them

/**
 * The command with `node` being another binary, for it and all that it starts. Replacing it keeps its path: services in a
 * hardened unit see no home directories, and other users none of root's.
 */
function withNode({ node, emulator, musl }, command) {
  if (emulator) return [join(checkout, 'scripts/emulate'), node, ...command];
  if (node === process.execPath) return command;
  if (process.getuid() !== 0) return ['env', `PATH=${dirname(node)}:${process.env.PATH}`, ...command];
  const mounts = [[node, process.execPath], ...(musl ? [[join(dirname(dirname(node)), 'lib'), mountPoint]] : [])];
  const script = [...mounts.map(([from, to]) => `mount --bind '${from}' '${to}'`), 'exec "$@"'].join(' && ');
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...command];
}

async function output(part, cwd, command, env = {}) {
  const [file, ...args] = withNode(part, command);
  const child = spawn(file, args, {
    cwd,
    env: { ...cleanEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (more) => (text += more));
  child.stderr.setEncoding('utf8').on('data', (more) => (errors = (errors + more).slice(-4000)));
  const [code] = await once(child, 'close');
  return { text, errors, code };
}

/** The tests of a file: the results that are indented by `depth` levels. */
function readTests(tap, depth) {
  const indent = '    '.repeat(depth);
  const result = new RegExp(`^${indent}(not )?ok \\d+(?: - )?(.*?)(?: # (time=|SKIP|TODO)(.*))?$`);
  const tests = [];
  for (const line of tap.split('\n')) {
    const [, not, name, directive, rest] = result.exec(line) ?? [];
    if (name === undefined) continue;
    const skipped = directive === 'SKIP' || directive === 'TODO' ? rest.trim() || directive : null;
    tests.push({ name: name.trim(), passed: !not, skipped });
  }
  return tests;
}

/** What tap prints of several files → file → tests */
function readFiles(tap) {
  const files = new Map();
  let lines = [];
  for (const line of tap.split('\n')) {
    const [, not, file, skip] = /^(not )?ok \d+ - (test\/\S+\.test\.ts)(?: # (SKIP.*)?)?/.exec(line) ?? [];
    if (file === undefined) {
      lines.push(line);
      continue;
    }
    const tests = readTests(lines.join('\n'), 1);
    if (tests.length === 0 && skip) tests.push({ name: file, passed: true, skipped: skip.slice('SKIP'.length).trim() });
    // A process that dies, or a time that is up, is not always a test that fails.
    if (not && tests.every(({ passed }) => passed))
      tests.push({ name: 'the file itself', passed: false, skipped: null });
    files.set(file, tests);
    lines = [];
  }
  return files;
}

async function runFiles(part, folder, files, env, jobs) {
  if (!part.emulator) {
    const options = ['--reporter=tap', ...(jobs ? [`--jobs=${jobs}`] : [])];
    const { text, errors } = await output(part, folder, ['node', 'node_modules/.bin/tap', ...options, ...files], env);
    const found = readFiles(text);
    for (const file of files) {
      if (!found.has(file))
        found.set(file, [{ name: `no result: ${errors.slice(-300)}`, passed: false, skipped: null }]);
    }
    return { found, text };
  }
  // tap itself takes its time there, and compiles with a binary for another CPU: Node.js strips the types.
  const found = new Map();
  let all = '';
  for (const file of files) {
    const { text, errors, code } = await output(part, folder, ['node', file], { ...env, TAP_TIMEOUT: '600' });
    const tests = readTests(text, 0);
    if (code !== 0 && tests.every(({ passed }) => passed)) {
      tests.push({ name: `the file itself: ${errors.slice(-300)}`, passed: false, skipped: null });
    }
    found.set(file, tests);
    all += `# ${file}\n${text}${errors}\n`;
  }
  return { found, text: all };
}

const failing = (tests) => tests.filter(({ passed, skipped }) => !passed && skipped === null);

async function versions(part, folder) {
  const { text } = await output(part, folder, ['node', '-p', '`${process.version} ${process.arch}`']);
  const [node, cpu] = text.trim().slice(1).split(' ');
  if (!part.systemd) return { node, cpu, systemd: '' };
  const systemctl = ['systemctl', '--version'];
  const [file, ...args] = part.systemd === '/' ? systemctl : ['chroot', part.systemd, ...systemctl];
  const [, systemd] = /^systemd (\S+)/.exec(execFileSync(file, args, { encoding: 'utf8' }));
  return { node, cpu, systemd };
}

async function measure(target, part, folder, logs) {
  const env = part.systemd && part.systemd !== '/' ? { LAB_ROOT: part.systemd } : {};
  const about = await versions(part, folder);
  console.error(
    `${target}: ${part.what}, Node.js ${about.node} on ${about.cpu}${about.systemd && `, systemd ${about.systemd}`} …`,
  );
  const began = Date.now();
  const { found, text } = await runFiles(part, folder, part.files, env);
  writeFileSync(join(logs, `${target}, ${part.what}.tap`), text);
  const again = [];
  for (const [file, tests] of found) {
    const known = (test) => part.emulator && underEmulator(file, test.name);
    for (const test of tests) if (!test.passed && known(test)) test.skipped = known(test);
    if (failing(tests).length === 0) continue;
    const alone = await runFiles(part, folder, [file], env, 1);
    writeFileSync(join(logs, `${target}, ${file.replaceAll('/', '_')}, alone.tap`), alone.text);
    const second = alone.found.get(file);
    for (const test of second) if (!test.passed && known(test)) test.skipped = known(test);
    if (failing(second).length === 0) again.push(...failing(tests).map(({ name }) => `${file}: ${name}`));
    found.set(file, second);
  }
  const every = [...found].flatMap(([file, tests]) => tests.map((test) => ({ file, ...test })));
  const skips = every.filter(({ skipped }) => skipped !== null);
  return {
    target,
    what: part.what,
    ...about,
    files: found.size,
    passed: every.filter(({ passed, skipped }) => passed && skipped === null).length,
    failed: failing(every).length,
    skipped: skips.length,
    again,
    minutes: (Date.now() - began) / 60_000,
    failures: failing(every).map(({ file, name }) => `${file}: ${name}`),
    reasons: skips.map(({ file, name, skipped }) => `${file}: ${name}: ${skipped}`),
    when: new Date().toISOString().slice(0, 10),
  };
}

// ---------------------------------------------------------------------------------------------------------------------
// The table

const header = ['Target', 'What', 'Node.js', 'CPU', 'systemd', 'Files', 'Passed', 'Failed', 'Skipped', 'Minutes'];

function cells(row) {
  const { target, what, node, cpu, systemd, files, passed, failed, skipped, minutes } = row;
  return [target, what, node, cpu, systemd, files, passed, failed, skipped, minutes.toFixed(1)].map(String);
}

function table(rows) {
  const lines = [header, ...rows.map(cells)];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const line = (texts) => `| ${texts.map((text, column) => text.padEnd(widths[column])).join(' | ')} |`;
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...lines.slice(1).map(line)].join('\n');
}

/** Lines below the table: which rows say what, each sentence once. */
function remarks(rows, key) {
  const whose = new Map();
  for (const row of rows) for (const text of row[key]) whose.set(text, [...(whose.get(text) ?? []), row.target]);
  return [...whose].map(([text, names]) => `- ${[...new Set(names)].join(', ')}: ${text}`);
}

function report(rows) {
  const parts = [table(rows)];
  const section = (title, key) => {
    const lines = remarks(rows, key);
    if (lines.length > 0) parts.push(`${title}\n\n${lines.join('\n')}`);
  };
  section('Failed:', 'failures');
  section('Failed beside others, passed alone:', 'again');
  section('Skipped:', 'reasons');
  return parts.join('\n\n');
}

/** The last result of each part, with these as the newest. */
function keep(rows) {
  const key = ({ target, what }) => `${target} ${what}`;
  const fresh = new Set(rows.map(key));
  const before = existsSync(resultsFile) ? JSON.parse(readFileSync(resultsFile, 'utf8')) : [];
  const order = Object.keys(targets);
  const all = [...before.filter((row) => !fresh.has(key(row))), ...rows].sort(
    (a, b) => order.indexOf(a.target) - order.indexOf(b.target),
  );
  writeFileSync(resultsFile, JSON.stringify(all, null, 2));
  return all;
}

async function writePage(rows) {
  const days = [...new Set(rows.map(({ when }) => when))].sort();
  await writeSection(page, 'matrix', `Of ${days.join(' and ')}:\n\n${report(rows)}`);
}

// ---------------------------------------------------------------------------------------------------------------------

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, docs: { type: 'boolean' }, list: { type: 'boolean' } },
});
const asked = values.only?.split(',') ?? Object.keys(targets);
const unknown = asked.filter((name) => !Object.hasOwn(targets, name));
if (unknown.length > 0 || values.list) {
  if (unknown.length > 0) console.error(`There is no ${unknown.join(', ')}. There are:`);
  console.log(Object.keys(targets).join('\n'));
  process.exit(unknown.length > 0 ? 2 : 0);
}

const untested = [...positionals, ...emulated].filter((file) => !testFiles().includes(file));
if (untested.length > 0) {
  console.error(`There is no test ${untested.join(', ')}.`);
  process.exit(2);
}

if (values.docs) {
  await writePage(keep([]));
  process.exit();
}

const { folder, filename, size } = await unpackWithTests();
const logs = mkdtempSync(join(tmpdir(), 'listenfds-matrix-logs-'));
console.error(`${filename}, ${Math.round(size / 1000)} kB; the output of the tests goes to ${logs}`);
const rows = [];
try {
  const files = positionals.length > 0 ? positionals : testFiles();
  for (const target of asked) {
    for (const part of await targets[target](files)) {
      if (part.files.length === 0) continue;
      rows.push(await measure(target, part, folder, logs));
      if (positionals.length === 0) keep(rows); // who stops it has what was done
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}

console.log(report(rows));
process.exitCode = rows.some(({ failed }) => failed > 0) ? 1 : 0;
