// npm run coverage [-- --docs] [FILE …]: the tests with every Node.js process counting what of dist/ it runs, and with the
// addon built to count as well. Prints lines and branches by room and what is not covered; --docs writes that to
// docs/maintainers/coverage.md; --check fails where it is less than that page says. --keep leaves the counts in a folder, which --from
// reads again, after it has added those of the files that are named. It takes half as long again as `npm test`.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { addSources, checkout, openFolder } from './copy.js';
import { branchesOf } from './coverage/branches.js';
import { reasons } from './coverage/reasons.js';
import { mappingsOf } from './coverage/source-map.js';
import { cleanEnvironment } from './node-versions.js';
import { writeSection } from './page.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    docs: { type: 'boolean' },
    check: { type: 'boolean' },
    keep: { type: 'boolean' },
    from: { type: 'string' },
  },
});

// ---------------------------------------------------------------------------------------------------------------------
// The run, in a copy with an addon of its own

function build(folder, counts) {
  cpSync(join(checkout, 'dist'), join(folder, 'dist'), { recursive: true });
  addSources(folder);
  mkdirSync(counts);
  chmodSync(counts, 0o777);
  const flags = { CXXFLAGS: '--coverage -fprofile-update=atomic', LDFLAGS: '--coverage' };
  const command = ['exec', '--', 'node-gyp', 'rebuild', '--loglevel=error']; // npm tells it where the headers are
  const env = { ...cleanEnvironment(), ...flags };
  execFileSync('npm', command, { cwd: folder, env, stdio: ['ignore', 'ignore', 'inherit'] });
}

async function run(folder, counts) {
  const hook = pathToFileURL(join(folder, 'scripts/coverage/hook.js')).href;
  const counting = { COVERAGE_FOLDER: counts, NODE_OPTIONS: `--import=${hook}` };
  const tap = spawn('node', ['node_modules/.bin/tap', '--reporter=tap', '--timeout=240', ...positionals], {
    cwd: folder,
    env: { ...cleanEnvironment(), ...counting },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const failed = [];
  tap.stdout.setEncoding('utf8').on('data', (text) => failed.push(...(text.match(/^not ok .*$/gm) ?? [])));
  await once(tap, 'close');
  if (failed.length > 0) console.error(`These failed, so less may be covered than could be:\n${failed.join('\n')}`);
}

// ---------------------------------------------------------------------------------------------------------------------
// What ran

/** How often each character of each file of dist/ was run. */
function addUp(counts, texts) {
  const totals = new Map([...texts].map(([file, text]) => [file, new Float64Array(text.length)]));
  for (const name of readdirSync(counts)) {
    let scripts;
    try {
      scripts = JSON.parse(readFileSync(join(counts, name), 'utf8'));
    } catch {
      continue; // its process was killed while it wrote
    }
    for (const { file, functions } of scripts) {
      const total = totals.get(file);
      if (!total) continue;
      // Inner ranges come after outer ones.
      const painted = new Float64Array(total.length);
      for (const ranges of functions) for (const [start, end, count] of ranges) painted.fill(count, start, end);
      for (let i = 0; i < total.length; i++) total[i] += painted[i];
    }
  }
  return totals;
}

/** src/x.ts → line → whether it was run; and its branches */
function readSources(folder, counts) {
  const dist = join(folder, 'dist');
  const files = readdirSync(dist).filter((file) => /\.c?js$/.test(file));
  const texts = new Map(files.map((file) => [file, readFileSync(join(dist, file), 'utf8')]));
  const totals = addUp(counts, texts);
  const sources = new Map();
  const sourceOf = (name) => {
    const path = resolve(dist, name).slice(folder.length + 1);
    if (!path.startsWith('src/')) return null;
    if (!sources.has(path)) sources.set(path, { lines: new Map(), branches: new Map() });
    return sources.get(path);
  };
  for (const [file, text] of texts) {
    const total = totals.get(file);
    const mappings = mappingsOf(JSON.parse(readFileSync(join(dist, `${file}.map`), 'utf8')), text);
    for (const { offset, source, line } of mappings) {
      const found = sourceOf(source);
      if (!found || total[offset] === undefined || /[\s})\];]/.test(text[offset])) continue;
      found.lines.set(line, (found.lines.get(line) ?? false) || total[offset] > 0);
    }
    for (const { offset, taken, what } of branchesOf(text)) {
      const at = mappings.findLast((mapping) => mapping.offset <= offset);
      const found = at && sourceOf(at.source);
      if (!found) continue;
      // What is bundled into two rooms is one branch.
      const nth = `${at.line} ${what} ${offset - at.offset}`;
      const before = found.branches.get(nth)?.taken ?? false;
      found.branches.set(nth, { line: at.line, what, taken: before || taken((place) => total[place]) > 0 });
    }
  }
  return sources;
}

/** native/x.cc, from what gcov prints */
function readNative(folder) {
  const objects = join(folder, 'build/Release/obj.target/listenfds/native');
  const sources = readdirSync(join(folder, 'native')).filter((file) => file.endsWith('.cc'));
  const out = join(folder, 'gcov');
  mkdirSync(out, { recursive: true });
  const found = new Map();
  for (const file of sources) {
    const options = ['--branch-probabilities', '--object-directory', objects];
    const args = [...options, join(folder, 'native', file)];
    execFileSync('gcov', args, { cwd: out, stdio: ['ignore', 'ignore', 'ignore'] });
    const text = readFileSync(join(out, `${file}.gcov`), 'utf8');
    const lines = new Map();
    const branches = new Map();
    let at = 0;
    for (const line of text.split('\n')) {
      const [, count, number] = /^\s*([^:]+):\s*(\d+):/.exec(line) ?? [];
      if (number !== undefined) {
        at = Number(number);
        if (at > 0 && count.trim() !== '-') lines.set(at, !count.includes('#') && !count.includes('='));
      }
      const [, nth, taken] = /^branch\s+(\d+) (.*)$/.exec(line) ?? [];
      if (nth !== undefined && !/\(throw\)/.test(taken)) {
        branches.set(`${at} ${nth}`, { line: at, what: 'branch', taken: !/never|taken 0%/.test(taken) });
      }
    }
    found.set(`native/${file}`, { lines, branches });
  }
  return found;
}

// ---------------------------------------------------------------------------------------------------------------------
// The table

function count(all, holds) {
  const list = [...all];
  return [list.filter(holds).length, list.length];
}
const linesOf = ({ lines }) => count(lines.values(), (run) => run);
const branchesTaken = ({ branches }) => count(branches.values(), ({ taken }) => taken);
const sum = (pairs) => pairs.reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
const part = ([some, all]) => (all === 0 ? '' : `${((100 * some) / all).toFixed(1)} %`);

/** 3, 4, 5, 9 → 3-5, 9 */
function spans(numbers) {
  const found = [];
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const last = found.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else found.push([number, number]);
  }
  return found.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}

function report(sources) {
  const rooms = new Map();
  for (const entry of sources) {
    const room = dirname(entry[0]);
    rooms.set(room, [...(rooms.get(room) ?? []), entry]);
  }
  const row = (name, entries) => {
    const [lines, branches] = [linesOf, branchesTaken].map((of) => sum(entries.map(([, one]) => of(one))));
    return [name, `${lines[0]} of ${lines[1]}`, part(lines), `${branches[0]} of ${branches[1]}`, part(branches)];
  };
  const rows = [...rooms].sort(([a], [b]) => (a < b ? -1 : 1)).map(([room, entries]) => row(`${room}/`, entries));
  rows.push(
    row(
      'all of src/',
      [...sources].filter(([path]) => path.startsWith('src/')),
    ),
  );
  const cells = [['Room', 'Lines', '', 'Branches', ''], ['---', '--:', '--:', '--:', '--:'], ...rows];
  const missing = [...sources]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([path, { lines, branches }]) => {
      const unrun = [...lines].filter(([, run]) => !run).map(([line]) => line);
      const untaken = [...branches.values()]
        .filter(({ taken, line }) => !taken && lines.get(line))
        .map(({ line }) => line);
      if (unrun.length + untaken.length === 0) return [];
      const why = reasons[path];
      if (why === undefined) console.error(`${path}: scripts/coverage/reasons.js does not say why`);
      return [[path, spans(unrun), spans(untaken), why ?? '']];
    });
  const table = (lines) => lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
  return `${table(cells)}\n\n${table([['File', 'Lines never run', 'Lines with a way never taken', 'Why'], ['---', '---', '---', '---'], ...missing])}`;
}

/** In points of a per cent: what a process has run in the 50 ms before a signal ended it is not counted each time. */
const jitter = 0.5;

/** Room → its shares of lines and branches */
function sharesOf(text) {
  const row = /^\| (\S[^|]*?) +\| +\d+ of \d+ +\| +([\d.]+) % +\| +\d+ of \d+ +\| +([\d.]+) % +\|$/gm;
  return new Map([...text.matchAll(row)].map(([, room, lines, branches]) => [room, { lines, branches }]));
}

/** What has become less, in words. A room that the page does not know, or that is gone, is as bad: nobody would notice. */
function fallen(before, after) {
  const [known, now] = [sharesOf(before), sharesOf(after)];
  const unknown = [...now.keys()].filter((room) => !known.has(room)).map((room) => `${room}: not there`);
  const less = [...known].flatMap(([room, shares]) =>
    ['lines', 'branches']
      .filter((what) => !(Number(now.get(room)?.[what]) >= Number(shares[what]) - jitter))
      .map((what) => `${room}: ${now.get(room)?.[what] ?? 0} % of the ${what}, down from ${shares[what]} %`),
  );
  return [...unknown, ...less];
}

const page = join(checkout, 'docs/maintainers/coverage.md');
const folder = values.from ?? openFolder('coverage');
const counts = join(folder, 'counts');
try {
  if (!values.from) build(folder, counts);
  if (!values.from || positionals.length > 0) await run(folder, counts);
  const sources = new Map([...readSources(folder, counts), ...readNative(folder)]);
  const text = report(sources);
  console.log(text);
  if (values.check) {
    const less = fallen(readFileSync(page, 'utf8'), text);
    if (less.length > 0) {
      console.error(
        `Less is covered than docs/maintainers/coverage.md says; --docs writes it anew:\n${less.join('\n')}`,
      );
      process.exitCode = 1;
    }
  }
  if (values.docs) await writeSection(page, 'coverage', text);
} finally {
  if (values.keep || values.from) console.error(`All counts are in ${folder}`);
  else rmSync(folder, { recursive: true });
}
