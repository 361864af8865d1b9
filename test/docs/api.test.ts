// docs/api is what typedoc makes of the comments in src/, and typedoc has no complaint about them: every public name is
// documented, every link leads somewhere, every type that is used can be named.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { apiPages } from '../../scripts/api/pages.js';
import { activate, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';

t.test('docs/api is up to date, and nothing public is undocumented', async (t) => {
  const out = join(temporaryFolder(t), 'api');
  const typedoc = join(root, 'node_modules/typedoc/bin/typedoc');
  const { code, stdout, stderr } = await activate(t, [process.execPath, typedoc, '--out', out]).ended;
  t.equal(code, 0, stdout + stderr);
  t.notMatch(stdout + stderr, /warning/);
  const pages = readdirSync(out);
  t.same(pages, readdirSync(join(root, 'docs/api')));
  for (const page of pages) {
    const same = readFileSync(join(out, page), 'utf8') === readFileSync(join(root, 'docs/api', page), 'utf8');
    t.ok(same, `npm run docs:api writes docs/api/${page}`);
  }
});

t.test('every public name is on one page', async (t) => {
  const pages = apiPages.map(([name]) => readFileSync(join(root, `docs/api/${name}.md`), 'utf8'));
  const headings = pages.flatMap((page) => [...page.matchAll(/^### (\w+)(?:\(\))?$/gm)].map(([, name]) => name));
  const exported = ['index', 'sockets', 'sd'].flatMap((entrance) => {
    const source = readFileSync(join(root, `src/${entrance}.ts`), 'utf8');
    const lists = [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].map(([, names = '']) => names);
    return lists.flatMap((names) => names.split(',').map((name) => name.replace('type ', '').trim())).filter(Boolean);
  });
  t.ok(exported.length > 60);
  t.same(headings.toSorted(), [...new Set(exported)].toSorted());
});
