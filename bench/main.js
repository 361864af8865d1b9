// npm run bench -- [NAME…] [--rounds N] [--json] [--missing] [--docs]: measures what is named, or everything, and prints one
// table. docs/maintainers/benchmarks.md says what and how. It exits 0 whatever the figures are: a benchmark informs, a test decides.
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { installNeeded } from './needed.js';
import { columns, keep, publish, readResults, verdict } from './results.js';

// A file here that is no support is a benchmark; its name is what one types.
const support = [
  'main.js',
  'results.js',
  'rounds.js',
  'activate.js',
  'bursts.js',
  'installed.js',
  'lab.js',
  'mixed-load.js',
  'stream-clients.js',
  'needed.js',
  'under-load.js',
  'picture.js',
];
const benches = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.js') && !support.includes(file))
  .map((file) => file.slice(0, -'.js'.length));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean' },
    rounds: { type: 'string' },
    missing: { type: 'boolean' },
    docs: { type: 'boolean' },
    results: { type: 'string', default: resolve(import.meta.dirname, '../bench-results') },
  },
});
const unknown = positionals.filter((name) => !benches.includes(name));
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(', ')}. There are: ${benches.join(', ')}.`);
  process.exit(2);
}
const rounds = values.rounds === undefined ? null : Number(values.rounds);
if (rounds !== null && !(Number.isInteger(rounds) && rounds > 0)) {
  console.error(`--rounds takes a whole number above 0, not ${values.rounds}.`);
  process.exit(2);
}

/** Those that are named; without a name all, or none where only the docs are asked for. */
function asked() {
  if (positionals.length > 0) return positionals;
  if (values.missing) {
    const known = readResults(values.results);
    return benches.filter((name) => known.get(name)?.rounds !== null);
  }
  return values.docs ? [] : benches;
}

const rows = [];
const named = asked();
installNeeded(named);
for (const bench of named) {
  if (!values.json) console.error(`measuring ${bench} …`);
  const began = performance.now();
  try {
    const { default: measure } = await import(`./${bench}.js`);
    const found = await measure({ rounds: rounds ?? undefined });
    keep(values.results, { bench, rounds, seconds: (performance.now() - began) / 1000, rows: found });
    rows.push(...found);
  } catch (error) {
    console.error(`${bench} could not be measured:`, error);
    process.exitCode = 1;
  }
}

if (values.docs) await publish(values.results);
if (values.json) {
  console.log(JSON.stringify(rows, null, 2));
} else if (rows.length > 0) {
  console.table(rows.map(columns));
  console.log(verdict(rows));
}
