import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { resultOf, root } from './support/activate.ts';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

t.test('docs/architecture.svg is what its script draws, with every room there is', async (t) => {
  const { picture, rooms } = await resultOf<{ picture: string; rooms: string[][] }>(
    t,
    `import { picture, rooms } from ${JSON.stringify(join(root, 'docs/architecture.js'))};
    console.log(JSON.stringify({ picture, rooms }));`,
  );
  t.equal(read('docs/architecture.svg'), picture, 'node docs/architecture.js writes it');
  const built = [...read('build.js').matchAll(/^ {2}'src\/.*': '(.*)',$/gm)].map(([, file]) => file);
  t.same(rooms.map(([file]) => file).sort(), built.sort());
  for (const [, file = ''] of picture.matchAll(/>\d? *([a-z]+\.ts)</g)) t.ok(existsSync(join(root, 'src', file)), file);
});
