// docs/api is what typedoc makes of the comments in src/, and typedoc has no complaint about them: every public name is
// documented, every link leads somewhere, every type that is used can be named.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
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
