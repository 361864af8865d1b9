import { once } from 'node:events';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { listenFifo } from 'listenfds/sockets';
import { activate, activateModule } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';

const reader = (target: string): string => `
  import { listenFifo } from 'listenfds/sockets';
  const { socket: stream } = await listenFifo(${target});
  console.log(JSON.stringify('open'));
  stream.on('data', (chunk) => console.log(JSON.stringify(String(chunk))));
  stream.on('end', () => console.log(JSON.stringify('end')));`;

t.test('an inherited FIFO outlives its writers', async (t) => {
  const path = join(temporaryFolder(t), 'f');
  const program = activateModule(t, reader(JSON.stringify(path)), { fds: [`fifo("${path}")`], names: ['commands'] });
  t.equal(await program.json(), 'open');
  for (const text of ['first', 'second', 'third']) {
    await writeFile(path, text);
    t.equal(await program.json(), text);
  }
  t.equal(program.stderr, '', 'its path is the one asked for');
});

t.test('a cluster worker opens it by itself: node:cluster shares none', async (t) => {
  const path = join(temporaryFolder(t), 'f');
  const program = activate(t, [process.execPath, 'test/fixtures/cluster-fifo.mjs'], {
    fds: [`fifo("${path}")`],
    names: ['commands'],
    env: { PATH_OF_FIFO: path },
  });
  t.equal(await program.json(), 'self');
});

t.test('by itself it makes one, with mode, and uses one that is there', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'f');
  const { socket: first } = await listenFifo({ path, mode: '0622', activation: 'never' });
  t.ok(statSync(path).isFIFO());
  t.equal(statSync(path).mode & 0o777, 0o622);
  await writeFile(path, 'x');
  t.equal(String((await once(first, 'data'))[0]), 'x');
  first.destroy();
  await once(first, 'close');
  t.ok(existsSync(path), 'writers may have it open: it stays');

  const { socket: again } = await listenFifo({ path, activation: 'never', removeOnStop: true });
  t.equal(statSync(path).mode & 0o777, 0o622);
  again.destroy();
  await once(again, 'close');
  t.notOk(existsSync(path));

  writeFileSync(path, 'a file');
  await t.rejects(listenFifo({ path, activation: 'never' }), { code: 'EEXIST' });
  t.equal(statSync(path).size, 6);
  mkdirSync(join(folder, 'd'));
  await t.rejects(listenFifo({ path: join(folder, 'missing', 'f'), activation: 'never' }), { code: 'ENOENT' });
  await t.rejects(listenFifo('relative'), { code: 'LISTENFDS_BAD_ADDRESS' });
  await t.rejects(listenFifo({ activation: 'never' }), { code: 'LISTENFDS_BAD_OPTION' });
});

t.test('a descriptor that is not a FIFO is refused', async (t) => {
  const path = join(temporaryFolder(t), 'f');
  const source = `
    import { listenFifo } from 'listenfds/sockets';
    listenFifo({ name: 'x' }).catch(({ code, message }) => console.log(JSON.stringify({ code, message })));`;
  const program = activateModule(t, source, { fds: [`unix_dgram("${path}")`], names: ['x'] });
  t.match(await program.json(), { code: 'LISTENFDS_WRONG_KIND', message: /named 'x' is a FIFO/ });
});
