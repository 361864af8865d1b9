// npm run fuzz [-- SECONDS [TARGET…]]: runs each target with libFuzzer for so long, 20 s by default, and prints the
// executions.
// What it finds becomes a file in test/fuzz/cases/, which test/package/fuzz.test.ts runs from then on. Needs clang.
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

const chosen = process.argv.length > 3 ? process.argv.slice(3) : Object.keys(targets);
const unknown = chosen.filter((target) => !Object.hasOwn(targets, target));
if (unknown.length > 0) {
  console.error(`There is no target ${unknown.join(', ')}. There are: ${Object.keys(targets).join(', ')}.`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
const rows = [];
try {
  for (const target of chosen) {
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
