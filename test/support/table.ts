// Tables in docs/ that say what tests have shown. LISTENFDS_WRITE_DOCS=1 writes them, otherwise they are compared.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './activate.ts';

interface Test {
  equal(found: unknown, wanted: unknown, message: string): unknown;
}

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

// How wide a formatter makes the columns does not matter.
const bare = (table: string): string => table.replaceAll(/-+/g, '-').replaceAll(/ +/g, ' ');

/** The table between `<!-- NAME -->` and `<!-- end of NAME -->` has these rows, in the order of their first cells. */
export function checkTable(
  t: Test,
  file: string,
  name: string,
  header: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const path = join(root, file);
  const text = readFileSync(path, 'utf8');
  const start = text.indexOf(`<!-- ${name} -->`);
  const end = text.indexOf(`<!-- end of ${name} -->`);
  if (start < 0 || end < 0) throw new Error(`${file} has no place for the table ${name}`);
  const sorted = rows.toSorted(([a = ''], [b = '']) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
  const lines = [line(header), line(header.map(() => '---')), ...sorted.map(line)];
  const wanted = `<!-- ${name} -->\n\n${lines.join('\n')}\n\n`;
  if (process.env['LISTENFDS_WRITE_DOCS']) writeFileSync(path, text.slice(0, start) + wanted + text.slice(end));
  else
    t.equal(bare(text.slice(start, end)), bare(wanted), `${file} is as shown here; LISTENFDS_WRITE_DOCS=1 writes it`);
}
