// README.md and docs/quick-start.md, done by somebody who begins: from a clone to a service that starts on the first connection.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import t from 'tap';
import { cleanEnvironment } from '../../scripts/node-versions.js';
import { activate, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { packed } from '../support/packed.ts';
import { freePort } from '../support/port.ts';

t.setTimeout(600_000); // it packs, and installs Express

const page = readFileSync(join(root, 'docs/quick-start.md'), 'utf8');
const blocks = [...page.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(([, language, text]) => ({ language, text: text! }));
const commandsOf = (text: string): string => text.replaceAll(/ +#.*/g, '');

t.test('the quick start, from the packed file on', async (t) => {
  const home = temporaryFolder(t);
  const env = { ...cleanEnvironment(), HOME: home };
  const folder = join(home, 'listenfds');
  mkdirSync(folder);
  const tarball = await packed();
  copyFileSync(tarball, join(folder, basename(tarball)));
  t.equal(basename(tarball), 'listenfds-0.1.0.tgz', 'the name that the pages say');

  const [install, program, byHand, managed] = blocks;
  const { status, stdout, stderr } = spawnSync('sh', ['-ec', commandsOf(install!.text)], {
    cwd: home,
    encoding: 'utf8',
    env,
  });
  t.equal(status, 0, stdout + stderr);
  const web = join(home, 'web');
  writeFileSync(join(web, 'server.js'), program!.text);
  t.equal(byHand!.text, 'node server.js\n');
  const port = await freePort();
  const started = activate(t, [process.execPath, 'server.js'], { cwd: web, env: { PORT: String(port) } });
  let answer = '';
  while (answer === '') answer = await get(port).catch(() => '');
  t.equal(answer, `hello from process ${started.pid}\n`);
  started.child.kill('SIGTERM');
  t.match(await started.ended, { code: 0, stderr: '' });

  t.match(managed!.text, /^npx listenfds run -l 3000 --idle-timeout 5s -- node server\.js\n$/);
  const command = managed!.text.trim().replace('3000', `127.0.0.1:${port}`).replace('5s', '500ms');
  const run = activate(t, command.split(' '), {
    cwd: web,
    env: { HOME: home, XDG_RUNTIME_DIR: home, PORT: String(port) },
  });
  answer = '';
  while (answer === '') answer = await get(port).catch(() => '');
  t.equal(await get(port), answer, 'the same process answers');
  while (!/the sockets stay open/.test(run.stderr))
    await new Promise((resolve) => run.child.stderr!.once('data', resolve));
  const next = await get(port);
  t.match(next, /^hello from process \d+\n$/);
  t.not(next, answer, 'another one after it was idle');
  await run.kill('SIGTERM');

  const units = spawnSync('npx', ['listenfds', 'unit', '--name', 'web', '-l', '3000', '--', 'node', 'server.js'], {
    cwd: web,
    encoding: 'utf8',
    env,
  });
  t.equal(units.status, 0, units.stderr);
  t.match(units.stdout, /^Type=notify$/m, 'it finds the package beside the program');
});

t.test('the example of the quick start is its program', async (t) => {
  t.equal(
    readFileSync(join(root, 'examples/quick-start/server.js'), 'utf8'),
    blocks.find(({ language }) => language === 'js')!.text,
  );
});
