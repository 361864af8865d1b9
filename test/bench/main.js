// npm run bench -- [NAME…] [--json] [--rounds N]: measures one thing, or everything. docs/benchmarks.md says what and how.
// It exits 0 whatever the figures are: a benchmark informs, a test decides.
import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';

// A file here that is no support is a benchmark; its name is what one types.
const support = [
  'main.js',
  'rounds.js',
  'activate.js',
  'installed.js',
  'lab.js',
  'mixed-load.js',
  'under-load.js',
  'picture.js',
];
const benches = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.js') && !support.includes(file))
  .map((file) => file.slice(0, -'.js'.length));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, rounds: { type: 'string' } },
});
const unknown = positionals.filter((name) => !benches.includes(name));
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(', ')}. There are: ${benches.join(', ')}.`);
  process.exit(2);
}
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
  console.error(`--rounds takes a whole number above 0, not ${values.rounds}.`);
  process.exit(2);
}

const rows = [];
for (const name of positionals.length > 0 ? positionals : benches) {
  if (!values.json) console.error(`measuring ${name} …`);
  const { default: measure } = await import(`./${name}.js`);
  rows.push(...(await measure({ rounds })));
}

/** 12345.6 → '12346', 70.123 → '70.1', 0.98765 → '0.988'. */
function figure(value) {
  if (value === null) return '';
  return value.toFixed(Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 10 ? 1 : 3);
}

if (values.json) {
  console.log(JSON.stringify(rows, null, 2));
} else {
  console.table(
    rows.map(({ bench, metric, ours, other, against, ratio, target, met }) => ({
      bench,
      metric,
      ours: figure(ours),
      other: figure(other),
      against: against ?? '',
      ratio: figure(ratio),
      target: target ?? '',
      met: met === null ? '' : met ? 'yes' : 'NO',
    })),
  );
}
