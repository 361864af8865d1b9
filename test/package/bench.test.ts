// The benchmarks run, and say what they found in the form that programs read. The figures are nobody's business here.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { activate, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { packed } from '../support/packed.ts';

t.setTimeout(400_000); // it may have to pack first

const main = join(root, 'bench/main.js');

t.test('--json prints rows, and the status is 0 whether targets are met or not', async (t) => {
  const results = temporaryFolder(t);
  const command = [process.execPath, main, 'startup', '--rounds', '1', '--json', '--results', results];
  const { code, stdout, stderr } = await activate(t, command, { env: { PACKED_FILE: await packed() } }).ended;
  t.equal(code, 0, stderr);
  const rows = JSON.parse(stdout) as Record<string, unknown>[];
  t.ok(rows.length > 0);
  for (const row of rows) {
    t.same(Object.keys(row), ['bench', 'metric', 'ours', 'other', 'against', 'ratio', 'target', 'met']);
    t.equal(row['bench'], 'startup');
    t.type(row['ours'], 'number');
    t.equal(row['met'] === null, row['target'] === null);
  }
  const kept = JSON.parse(readFileSync(join(results, 'startup.json'), 'utf8'));
  t.match(kept, { bench: 'startup', rounds: 1, when: /^\d{4}-\d\d-\d\d$/, seconds: Number, machine: /^Node\.js / });
  t.same(kept.rows, rows, 'and keeps them');
});

t.test('a benchmark that there is none of is told from those there are', async (t) => {
  const { code, stderr } = await activate(t, [process.execPath, main, 'speed']).ended;
  t.equal(code, 2);
  t.match(stderr, 'There is no benchmark speed. There are: ');
});
