// npm run fuzz [-- SECONDS [TARGET…]]: runs each target with libFuzzer for so long, 20 s by default, and prints the
// executions. The target `calls` is calls.js, which calls the addon itself; the others are parsers of it.
// What they find becomes a file in test/fuzz/cases/, which test/package/fuzz.test.ts runs from then on. Needs clang.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile, inputs, targets } from './targets.js';

const seconds = Number(process.argv[2] ?? 20);
if (!(seconds >= 1)) {
  console.error(`npm run fuzz -- SECONDS: ${process.argv[2]} is no time to run each target for.`);
  process.exit(2);
}

const all = [...Object.keys(targets), 'calls'];
const chosen = process.argv.length > 3 ? process.argv.slice(3) : all;
const unknown = chosen.filter((target) => !all.includes(target));
if (unknown.length > 0) {
  console.error(`There is no target ${unknown.join(', ')}. There are: ${all.join(', ')}.`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
const rows = [];

/** Runs of calls.js, each with another seed, until the time is over. */
function callEverything() {
  const row = { target: 'calls', executions: 0, 'a second': 0, edges: 0, findings: 0 };
  const began = performance.now();
  while (performance.now() - began < seconds * 1000 && row.findings === 0) {
    const command = ['--expose-gc', join(import.meta.dirname, 'calls.js'), '5000'];
    const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8', timeout: 120_000 });
    if (status === 0) row.executions += JSON.parse(stdout).executions;
    else {
      console.error(stderr);
      row.findings = 1;
    }
  }
  row['a second'] = Math.round((row.executions / (performance.now() - began)) * 1000);
  rows.push(row);
}

try {
  if (chosen.includes('calls')) callEverything();
  for (const target of chosen.filter((one) => one !== 'calls')) {
    const program = join(folder, target);
    compile(target, program, { fuzzer: true });
    const corpus = join(folder, `${target}.corpus`);
    const found = join(folder, `${target}.found`);
    mkdirSync(corpus);
    mkdirSync(found);
    const { status, stderr } = spawnSync(
      program,
      [
        corpus,
        `-seed_inputs=${inputs(target).join(',')}`,
        `-max_total_time=${seconds}`,
        '-max_len=4096',
        '-timeout=5',
        '-print_final_stats=1',
        `-artifact_prefix=${found}/`,
      ],
      { encoding: 'utf8', maxBuffer: 1 << 28 },
    );
    const stat = (name) => Number(new RegExp(`stat::${name}:\\s+(\\d+)`).exec(stderr)?.[1] ?? 0);
    if (status !== 0) {
      console.error(stderr);
      cpSync(found, join(import.meta.dirname, 'cases', target), { recursive: true });
    }
    rows.push({
      target,
      executions: stat('number_of_executed_units'),
      'a second': stat('average_exec_per_sec'),
      edges: Number([...stderr.matchAll(/ cov: (\d+)/g)].at(-1)?.[1] ?? 0),
      findings: status === 0 ? 0 : 1,
    });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.table(rows);
const sum = (column) => rows.reduce((total, row) => total + row[column], 0);
console.log(`${sum('executions')} executions, ${sum('findings')} findings`);
process.exitCode = sum('findings') > 0 ? 1 : 0;
