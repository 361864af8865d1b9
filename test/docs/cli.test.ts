import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { findingTable } from '../../src/cli/finding-table.ts';
import { root } from '../support/activate.ts';
import { cli } from '../support/cli.ts';
import { checkTable } from '../support/table.ts';

t.test('docs/inspect.md has every finding', (t) => {
  const sentence = (text: string): string => `${text[0]!.toUpperCase()}${text.slice(1)}.`;
  const rows = Object.entries(findingTable).map(([code, { when, remedy }]) => [`\`${code}\``, when, sentence(remedy)]);
  checkTable(t, 'docs/inspect.md', 'findings', ['Code', 'When', 'What to do'], rows);
  t.end();
});

t.test('the options that the pages of the commands name are there', async (t) => {
  for (const name of ['run', 'unit', 'inspect']) {
    const page = readFileSync(join(root, `docs/${name}.md`), 'utf8');
    const { stdout } = await cli(t, [name, '--help']);
    const lines = page.match(/^listenfds .*$/gm)?.filter((line) => line.startsWith(`listenfds ${name} `)) ?? [];
    t.ok(lines.length > 0);
    for (const line of lines) {
      const own = line.split(' -- ')[0]!;
      for (const option of own.match(/(?<= )--[a-z-]+/g) ?? []) t.match(stdout, option, `${name} ${option}`);
    }
  }
});
