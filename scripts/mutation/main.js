// npm run test:mutation: changes one thing in a source that decides something, and looks whether a test fails.
// docs/maintainers/mutation.md says how, and holds the table that this prints.
//
//   npm run test:mutation                                   8 mutants of each file, the same ones each time
//   npm run test:mutation -- --sample 40 --seed 2           others, and more of them
//   npm run test:mutation -- --only src/admit/limits.ts     one file
//   npm run test:mutation -- --only src/admit/limits.ts --at 31,55     all mutants of these lines; nothing is kept
//   npm run test:mutation -- --docs                         nothing, but write the last result of each file and seed to the page
//
// The exit status is 1 if a mutant survived that rooms.js does not name.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { addSources, checkout, openFolder } from '../copy.js';
import { cache, cleanEnvironment } from '../node-versions.js';
import { writeSection } from '../page.js';
import { mutantsOf } from './mutants.js';
import { accepted, rooms } from './rooms.js';

const page = join(checkout, 'docs/maintainers/mutation.md');
const resultsFile = join(cache, 'mutation.json');
/** A mutant that makes its tests take that much longer is noticed. */
const slower = 4;

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    at: { type: 'string' },
    sample: { type: 'string', default: '8' },
    seed: { type: 'string', default: '1' },
    docs: { type: 'boolean' },
  },
});

const rank = (file, { start, text }) =>
  createHash('sha256').update(`${values.seed} ${file} ${start} ${text}`).digest('hex');

function choose(file, mutants) {
  if (values.at) return mutants.filter(({ line }) => values.at.split(',').includes(String(line)));
  const ranked = mutants.toSorted((a, b) => (rank(file, a) < rank(file, b) ? -1 : 1));
  return ranked.slice(0, Number(values.sample)).toSorted((a, b) => a.start - b.start);
}

const build = (folder) => execFileSync(process.execPath, ['build.js'], { cwd: folder, stdio: 'pipe' });

/** A test that is killed, or a program that a mutant keeps from ending, leaves processes behind. */
function endStrays(folder) {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readlinkSync(`/proc/${pid}/cwd`).startsWith(folder)) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // gone, or somebody else's
    }
  }
}

/** @returns {Promise<boolean>} whether the tests pass in that time */
async function passes(folder, tests, limit) {
  const tap = [
    join(folder, 'node_modules/.bin/tap'),
    '--bail',
    '--reporter=tap',
    ...tests.filter((test) => existsSync(join(folder, test))),
  ];
  const child = spawn(process.execPath, tap, { cwd: folder, env: cleanEnvironment(), stdio: 'ignore', detached: true });
  const end = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // the group has ended
    }
  };
  const timer = setTimeout(end, limit);
  const [code] = await once(child, 'exit');
  clearTimeout(timer);
  end();
  endStrays(folder);
  return code === 0;
}

async function measure(folder, file) {
  const path = join(folder, file);
  const source = readFileSync(path, 'utf8');
  const all = mutantsOf(source);
  const chosen = choose(file, all);
  const began = performance.now();
  build(folder);
  // Once more, since a machine that does other things as well can be late.
  if (!(await passes(folder, rooms[file], 300_000)) && !(await passes(folder, rooms[file], 300_000))) {
    console.error(`The tests of ${file} fail without a mutant`);
    process.exitCode = 1;
    return null;
  }
  const limit = slower * (performance.now() - began) + 10_000;
  const survivors = [];
  for (const mutant of chosen) {
    writeFileSync(path, source.slice(0, mutant.start) + mutant.text + source.slice(mutant.end));
    let survived = false;
    try {
      build(folder);
      survived = await passes(folder, rooms[file], limit);
    } catch {
      // it does not even build
    }
    console.error(`${survived ? 'SURVIVED' : 'noticed '} ${file}:${mutant.line} ${mutant.what}`);
    if (survived) survivors.push(mutant);
  }
  writeFileSync(path, source);
  return {
    file,
    possible: all.length,
    tried: chosen.length,
    survivors,
    seed: values.seed,
    when: new Date().toISOString().slice(0, 10),
  };
}

function report(rows) {
  const header = ['File', 'Seed', 'Possible', 'Tried', 'Noticed', 'Score'];
  const line = ({ file, seed, possible, tried, survivors }) => {
    const noticed = tried - survivors.length;
    return [file, seed, possible, tried, noticed, `${Math.round((100 * noticed) / tried)} %`];
  };
  const sum = (of) => rows.reduce((total, row) => total + of(row), 0);
  const all = {
    file: 'all',
    seed: '',
    possible: '',
    tried: sum((row) => row.tried),
    survivors: rows.flatMap((row) => row.survivors),
  };
  const table = [header, header.map(() => '---'), ...rows.map(line), line(all)];
  const left = rows.flatMap(({ file, survivors }) =>
    survivors.map(
      ({ line: number, what }) => `- ${file}:${number} \`${what}\`: ${accepted[file]?.[what] ?? 'NO REASON'}`,
    ),
  );
  return [
    table.map((cells) => `| ${cells.join(' | ')} |`).join('\n'),
    `Of ${[...new Set(rows.map(({ when }) => when))].sort().join(' and ')}.`,
    ...(left.length > 0 ? [`Survived:\n\n${left.join('\n')}`] : []),
  ].join('\n\n');
}

/** The last result of each file and seed, with these as the newest. */
function keep(rows) {
  const before = existsSync(resultsFile) ? JSON.parse(readFileSync(resultsFile, 'utf8')) : [];
  const last = new Map([...before, ...rows].map((row) => [`${row.file} ${row.seed}`, row]));
  const order = Object.keys(rooms);
  const all = [...last.values()].sort((a, b) => order.indexOf(a.file) - order.indexOf(b.file) || a.seed - b.seed);
  mkdirSync(cache, { recursive: true });
  writeFileSync(resultsFile, JSON.stringify(all, null, 2));
  return all;
}

if (values.docs) {
  await writeSection(page, 'results', report(keep([])));
  process.exit();
}

const folder = openFolder('mutation');
const rows = [];
try {
  addSources(folder);
  cpSync(join(checkout, 'dist'), join(folder, 'dist'), { recursive: true });
  symlinkSync(join(checkout, 'build'), join(folder, 'build'));
  for (const file of values.only?.split(',') ?? Object.keys(rooms)) {
    const row = await measure(folder, file);
    if (!row) continue;
    rows.push(row);
    if (!values.at) keep([row]); // who stops it has what was done
  }
} finally {
  rmSync(folder, { recursive: true });
}
console.log(report(rows));
if (rows.some(({ file, survivors }) => survivors.some(({ what }) => !accepted[file]?.[what]))) process.exitCode = 1;
