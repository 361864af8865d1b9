// docs/security.md claims what tests show: each link is the title of a test, and leads to its file.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';

t.test('every claim of docs/security.md is a test that exists', (t) => {
  const page = readFileSync(join(root, 'docs/security.md'), 'utf8').replaceAll(/\n +/g, ' ');
  const links = [...page.matchAll(/\[([^\]]+)\]\((\.\.\/test\/[^)]+)\)/g)];
  t.ok(links.length > 30);
  for (const [, title = '', path = ''] of links) {
    const file = join(root, 'docs', path);
    const titles = existsSync(file)
      ? [...readFileSync(file, 'utf8').matchAll(/\.test\(\s*(['"`])(.*?)\1,/g)].map(([, , name = '']) => name)
      : [];
    t.ok(titles.includes(title.replaceAll('\n', ' ')), `${path}: ${title}`);
  }
  t.end();
});
