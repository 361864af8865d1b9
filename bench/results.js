// What the benchmarks found: one file each in bench-results/, which git does not have, until `--docs` takes them over into
// docs/maintainers/benchmarks.json and the tables of docs/maintainers/benchmarks.md.
import { mkdirSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, release } from 'node:os';
import { join, resolve } from 'node:path';
import { writeSection } from '../scripts/page.js';

const project = resolve(import.meta.dirname, '..');
const page = join(project, 'docs/maintainers/benchmarks.md');
const published = join(project, 'docs/maintainers/benchmarks.json');

/**
 * @typedef {object} Result
 * @property {string} bench
 * @property {number | null} rounds  what --rounds said: a result that is quick, and not for the docs; else null
 * @property {string} when
 * @property {number} seconds
 * @property {string} machine
 * @property {object[]} rows  see row() in rounds.js
 */

const machine = () => {
  const model = cpus()[0]?.model ?? arch();
  return `Node.js ${process.versions.node}, Linux ${release().split('-')[0]}, ${availableParallelism()} × ${model}`;
};

/** @param {string} folder */
export function readResults(folder) {
  /** @type {Map<string, Result>} */
  const found = new Map();
  if (!existsSync(folder)) return found;
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
    const result = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    found.set(result.bench, result);
  }
  return found;
}

/** Keeps it, in place of the one before. */
export function keep(folder, { bench, rounds, seconds, rows }) {
  mkdirSync(folder, { recursive: true });
  const when = new Date().toISOString().slice(0, 10);
  const result = { bench, rounds, when, seconds: Math.round(seconds), machine: machine(), rows };
  writeFileSync(join(folder, `${bench}.json`), `${JSON.stringify(result, null, 2)}\n`);
}

/** 12345.6 → '12346', 70.123 → '70.1', 0.98765 → '0.988'. */
function figure(value) {
  if (value === null) return '';
  if (Number.isInteger(value) && Math.abs(value) < 1000) return String(value);
  return value.toFixed(Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 10 ? 1 : 3);
}

/** What is shown of a row. Without an `other` the ratio is that to the limit. */
export function columns({ bench, metric, ours, other, against, ratio, target, met, interval }) {
  const limit = Number(/^ours [<>]= (.+)$/.exec(target ?? '')?.[1] ?? NaN);
  const alone = other === null && !Number.isNaN(limit);
  return {
    bench,
    metric,
    ours: figure(ours),
    other: figure(other),
    against: against ?? '',
    ratio:
      figure(alone && limit !== 0 ? ours / limit : ratio) + (interval ? ` (${interval.map(figure).join(' to ')})` : ''),
    target: target ?? '',
    met: met === null ? '' : met ? 'yes' : 'NO',
  };
}

export function verdict(rows) {
  const judged = rows.filter(({ met }) => met !== null);
  return `${judged.filter(({ met }) => met).length} of ${judged.length} targets met`;
}

const table = (lines) => lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');

function pageTables(results) {
  // docs/first-request.md has those of first-request.
  const shown = results.filter(({ bench }) => bench !== 'first-request');
  const rows = shown.flatMap((one) => one.rows).map((row) => Object.values(columns(row)));
  const header = ['Bench', 'What', 'Ours', 'Other', 'Against', 'Ratio', 'Target', 'Met'];
  const aligned = ['---', '---', '--:', '--:', '---', '--:', '---', '---'];
  const about = results.map(({ bench, when, seconds, machine: where }) => [
    bench,
    when,
    seconds < 100 ? `${seconds} s` : `${Math.round(seconds / 60)} min`,
    where,
  ]);
  const took = table([['Bench', 'Measured', 'Took', 'On'], ['---', '---', '--:', '---'], ...about]);
  return `${verdict(results.flatMap((one) => one.rows))}.\n\n${table([header, aligned, ...rows])}\n\n${took}`;
}

/** docs/first-request.md: a line for each framework and Node.js, the clock and in brackets the CPU time. */
function firstRequestTable({ rows, when, machine: where }) {
  const lines = new Map();
  for (const { metric, ours, other } of rows) {
    const [, what, way, unit] = /^(\w+, Node\.js \d+), (.*), (ms|CPU ms)$/.exec(metric);
    const ways = lines.get(what) ?? new Map();
    lines.set(what, ways);
    for (const [key, value] of [
      ['as it is', other],
      [way, ours],
    ]) {
      ways.set(key, { ...ways.get(key), [unit]: Math.round(value) });
    }
  }
  const columns = ['as it is', 'with a cache', 'bundled', 'bundled, with a cache'];
  const cell = (found) => (found ? `${found['ms']} (${found['CPU ms']})` : '–');
  const header = ['ms until the answer (CPU ms)', ...columns];
  const body = [...lines].map(([what, ways]) => [what, ...columns.map((way) => cell(ways.get(way)))]);
  const aligned = header.map((_, column) => (column === 0 ? '---' : '--:'));
  return `${table([header, aligned, ...body])}\n\nMedians, measured on ${when}, ${where.replace(/^[^,]*, /, '')}.`;
}

/** Results that are complete go to the docs; what was not measured anew stays there as it was. */
export async function publish(folder) {
  const all = new Map(
    existsSync(published) ? JSON.parse(readFileSync(published, 'utf8')).map((one) => [one.bench, one]) : [],
  );
  for (const [bench, result] of readResults(folder)) {
    if (result.rounds === null) all.set(bench, result);
    else console.error(`${bench} is left out: it was measured with --rounds ${result.rounds}`);
  }
  const results = [...all.values()].sort((a, b) => (a.bench < b.bench ? -1 : 1));
  writeFileSync(published, `${JSON.stringify(results, null, 2)}\n`);
  const body = results.length > 0 ? pageTables(results) : 'Nothing is measured yet.';
  await writeSection(page, 'results', body);
  const first = all.get('first-request');
  if (first) await writeSection(join(project, 'docs/first-request.md'), 'figures', firstRequestTable(first));
}
