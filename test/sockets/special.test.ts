import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { listenSpecial } from 'listenfds/sockets';
import { activateModule, resultOf } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { without } from '../support/tools.ts';

t.test('a terminal is read and written without a thread', async (t) => {
  // The other side of a pseudo-terminal: what is written there arrives here, and the other way round.
  const terminal = `(lambda ends: (_kept.append(fcntl.fcntl(ends[0], fcntl.F_DUPFD, 1000)), __import__("tty").setraw(ends[1]), os.write(ends[0], b"typed"), ends[1])[3])(os.openpty())`;
  const source = `
    import fs from 'node:fs';
    import { listenSpecial } from 'listenfds/sockets';
    const { socket: stream } = await listenSpecial({ name: 'tty', writable: true });
    const [typed] = await new Promise((resolve) => stream.once('data', (...all) => resolve(all)));
    await new Promise((resolve) => stream.write('answer', resolve));
    const other = fs.readdirSync('/proc/self/fd').map(Number).find((fd) => fd >= 1000);
    const buffer = Buffer.alloc(10);
    const size = fs.readSync(other, buffer);
    console.log(JSON.stringify([String(typed), buffer.toString('utf8', 0, size), stream.constructor.name]));
    stream.destroy();`;
  t.same(await resultOf(t, source, { fds: [terminal], names: ['tty'] }), ['typed', 'answer', 'DescriptorStream']);
});

t.test('Writable= is honoured', async (t) => {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, 'content');
  const source = (options: string): string => `
    import { listenSpecial } from 'listenfds/sockets';
    try {
      const { socket: stream } = await listenSpecial(${options});
      let read = '';
      await new Promise((resolve) => stream.on('data', (chunk) => (read += chunk)).on('end', resolve));
      const { writable } = stream;
      if (writable) await new Promise((resolve) => stream.end(' and more', resolve));
      console.log(JSON.stringify({ read, writable }));
      stream.destroy();
    } catch ({ code, message }) { console.log(JSON.stringify({ code, message })); }`;
  const readOnly = { fds: [`special("${path}")`], names: ['s'] };
  const writable = { fds: [`special("${path}", os.O_RDWR)`], names: ['s'] };
  t.same(await resultOf(t, source(JSON.stringify(path)), readOnly), { read: 'content', writable: false });
  const refused = await resultOf(t, source(`{ name: 's', writable: true }`), readOnly);
  t.match(refused, { code: 'LISTENFDS_WRONG_KIND', message: /Writable=/ });
  t.same(await resultOf(t, source(`{ name: 's' }`), writable), { read: 'content', writable: true });
  t.equal(readFileSync(path, 'utf8'), 'content and more');
});

t.test('records that were overwritten before they were read do not end it', { skip: without('strace') }, async (t) => {
  const trace = join(temporaryFolder(t), 'trace');
  const source = `
    import { listenSpecial } from 'listenfds/sockets';
    const { socket } = await listenSpecial('/dev/random');
    socket.once('data', ({ length }) => { console.log(JSON.stringify(length)); socket.destroy(); });`;
  // The error of /dev/kmsg.
  const inject = ['-e', 'trace=read', '-e', 'inject=read:error=EPIPE:when=1', '-P', '/dev/random'];
  t.ok((await resultOf(t, source, { through: ['strace', '-f', '-o', trace, ...inject] })) > 0);
  t.match(readFileSync(trace, 'utf8'), 'EPIPE (Broken pipe) (INJECTED)');
});

t.test('by itself it opens the file', async (t) => {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, 'x'.repeat(200_000));
  const { socket: file } = await listenSpecial({ path, activation: 'never' });
  t.equal((await text(file)).length, 200_000);
  const { socket: zero } = await listenSpecial({ path: '/dev/zero', activation: 'never', writable: true });
  t.equal((await once(zero, 'data'))[0][0], 0);
  zero.destroy();
  await once(zero, 'close');
  await t.rejects(listenSpecial({ path: '/tmp', activation: 'never' }), { code: 'LISTENFDS_WRONG_KIND' });
  await t.rejects(listenSpecial({ path: '/nowhere', activation: 'never' }), { code: 'ENOENT' });
  await t.rejects(listenSpecial('relative'), { code: 'LISTENFDS_BAD_ADDRESS' });
});

t.test('destroying a stream in the middle of a read closes its own descriptor only', async (t) => {
  const source = `
    import fs from 'node:fs';
    import { listenSpecial } from 'listenfds/sockets';
    const count = () => fs.readdirSync('/proc/self/fd').length;
    (await listenSpecial('/dev/zero')).socket.destroy();
    const before = count();
    for (let i = 0; i < 1000; i++) {
      const { socket: stream } = await listenSpecial(i % 2 ? '/dev/zero' : '/dev/tty').catch(() => ({}));
      if (!stream) continue;
      stream.read(0);
      stream.destroy();
      await new Promise((resolve) => stream.once('close', resolve));
    }
    console.log(JSON.stringify(count() - before));`;
  const program = activateModule(t, source);
  t.ok((await program.json()) <= 0);
});
