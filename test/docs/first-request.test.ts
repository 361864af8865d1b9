// The recipe of docs/first-request.md.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { cleanEnvironment } from '../../scripts/node-versions.js';
import { activate, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';
import { get } from '../support/http.js';
import { noRuntimes, runtimes } from '../support/programs.ts';

const page = readFileSync(join(root, 'docs/first-request.md'), 'utf8');
t.setTimeout(300_000); // a newer Node.js is installed at the first run

t.test('an Express program in one file adopts, and fills the compile cache', { skip: noRuntimes }, async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true });
  for (const name of ['express', 'esbuild'])
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  symlinkSync(join(root, 'node_modules/.bin/esbuild'), join(folder, 'node_modules/.bin/esbuild'));
  symlinkSync(root, join(folder, 'node_modules/listenfds'));
  writeFileSync(
    join(folder, 'server.js'),
    `import express from 'express';
    import { serve } from 'listenfds';
    const app = express();
    app.get('/', (request, response) => response.send('hello'));
    await serve(app, { port: 3000, mismatch: 'ignore' });
    console.log('ready');`,
  );
  const [, command = ''] = /```sh\n(npx esbuild .*)\n```/.exec(page) ?? [];
  const { status, stderr } = spawnSync('sh', ['-c', command], {
    cwd: folder,
    env: cleanEnvironment(),
    encoding: 'utf8',
  });
  t.equal(status, 0, stderr);

  const { fd, port } = await held(t);
  const cache = join(folder, 'cache');
  const { node } = await runtimes();
  const running = activate(t, [node, join(folder, 'out/server.mjs')], {
    fds: [fd],
    env: { NODE_COMPILE_CACHE: cache },
  });
  t.equal(await running.line(), 'ready');
  t.equal(await get(port), 'hello');
  const { code } = await running.kill('SIGTERM');
  t.equal(code, 0);
  const files = readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  t.ok(files.length >= 2, 'the bundle and the core of listenfds');
});
