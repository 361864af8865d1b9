// The one way through the house: docs/maintainers/design.md has the map.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { picture, problems, readImports, roomOf, rooms, svg } from '../../scripts/architecture.js';
import { root } from '../support/activate.ts';

const imports = readImports();

t.test('an import of any kind leads to a room earlier in the order, and never in a circle', (t) => {
  t.ok(imports.size > 80);
  t.same(problems(imports), []);
  t.end();
});

t.test('the rule is broken by each import that is turned round', (t) => {
  for (const [file, { every }] of imports) {
    for (const to of every) {
      const turned = new Map(imports);
      turned.set(file, { every: every.filter((other) => other !== to), now: [] });
      turned.set(to, { every: [...imports.get(to)!.every, file], now: [] });
      const elsewhere = roomOf(file) !== roomOf(to);
      if (elsewhere) t.match(problems(turned), [`src/${to} imports ${file}`], `${file} → ${to}`);
    }
  }
  const [text] = [...imports.keys()].filter((file) => roomOf(file) === 'text');
  t.match(problems(new Map([['a/b.ts', { every: [], now: [] }]])), ['src/a/b.ts is in no room']);
  t.match(problems(new Map([[text!, { every: [text!], now: [] }]])), [`a circle: ${text} → ${text}`]);
  t.end();
});

t.test('docs/maintainers/design.md names every room, and its picture is drawn from the imports', (t) => {
  const page = readFileSync(join(root, 'docs/maintainers/design.md'), 'utf8');
  for (const room of Object.keys(rooms)) t.match(page, `\`${room}\``);
  t.equal(readFileSync(svg, 'utf8'), picture(), 'node scripts/architecture.js draws it');
  t.end();
});

t.test('docs/maintainers/design.md answers where things are by a file that has them', (t) => {
  const page = readFileSync(join(root, 'docs/maintainers/design.md'), 'utf8');
  const rows = [...page.matchAll(/^\| .*\? +\| (src\/\S+) +\| `(\w+)` +\|$/gm)];
  t.ok(rows.length >= 10);
  for (const [, file = '', name = ''] of rows) {
    const declared = new RegExp(`^(export )?(async )?(function|class|const) ${name}\\b`, 'm');
    t.match(readFileSync(join(root, file), 'utf8'), declared, `${file} declares ${name}`);
  }
  for (const [path] of page.matchAll(/\b(?:system|text|receive|take|listen)\/[\w/-]+\.ts\b/g))
    t.ok(existsSync(join(root, 'src', path)), path);
  t.end();
});

t.test('the core is one file', (t) => {
  t.notMatch(
    readFileSync(join(root, 'dist/index.js'), 'utf8'),
    /^\s*(?:import|export)\b[^(]*\bfrom\b|^\s*import\s*["']/m,
  );
  t.end();
});
