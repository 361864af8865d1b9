// The one way through the house: docs/design.md has the map.
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';

const order = 'system text manager receive programs lend admit take open sockets listen service preload cli .'.split(
  ' ',
);
const src = join(root, 'src');
const files = (readdirSync(src, { recursive: true }) as string[]).filter((name) => name.endsWith('.ts'));
const folderOf = (file: string): number => order.indexOf(file.includes('/') ? file.split('/')[0]! : '.');

/** Of any kind: a value, a type, a dynamic import. */
function importsOf(file: string): string[] {
  const code = readFileSync(join(src, file), 'utf8').replace(/^\s*(?:\/\/|\/?\*).*$/gm, '');
  const found = code.matchAll(/(?:from |import\(|import |require\(|\(import\.meta\.url\)\()'(\.[^']+)\.c?js'/g);
  return [...found].map(([, path]) => `${join(dirname(file), path!)}.ts`);
}

const arrows = new Map(files.map((file) => [file, importsOf(file)]));

t.test('an import of any kind leads to a room further left, and never in a circle', (t) => {
  for (const [from, to] of arrows) {
    t.not(folderOf(from), -1, `${from} is in a room of the map`);
    for (const file of to) t.ok(folderOf(file) <= folderOf(from), `${from} → ${file}`);
  }
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    t.notOk(way.includes(file), [...way, file].join(' → '));
    if (done.has(file) || way.includes(file)) return;
    for (const next of arrows.get(file) ?? []) visit(next, [...way, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  t.end();
});

t.test('the core is one file', (t) => {
  t.notMatch(
    readFileSync(join(root, 'dist/index.js'), 'utf8'),
    /^\s*(?:import|export)\b[^(]*\bfrom\b|^\s*import\s*["']/m,
  );
  t.end();
});
