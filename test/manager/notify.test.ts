import { closeSync, fstatSync, openSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { notify } from 'listenfds';
import t from 'tap';
import { activateModule, resultOf } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import * as insides from '../../dist/insides.js';
import { receive } from '../support/receiver.ts';
import { unless } from '../support/tools.ts';

const { maxMessageFds } = insides;

function to(address: string): { env: { NOTIFY_SOCKET: string } } {
  return { env: { NOTIFY_SOCKET: address } };
}

t.test('nobody listens: false, and nothing happens', (t) => {
  t.equal(notify({ ready: true }, { env: {} }), false);
  t.equal(notify('READY=1', { env: { NOTIFY_SOCKET: '' } }), false);
  t.end();
});

for (const [what, address] of [
  ['a path', (folder: string) => join(folder, 'notify')],
  ['an abstract name', (folder: string) => `@${folder}`],
  ['the longest path', (folder: string) => join(folder, 'x'.repeat(107 - folder.length - 1))],
  ['the longest abstract name', (folder: string) => `@${folder}`.padEnd(108, 'x')],
] as const) {
  t.test(`a message arrives at ${what}`, async (t) => {
    const receiver = await receive(t, address(temporaryFolder(t)));
    t.equal(notify({ ready: true, status: 'Grüße' }, to(receiver.address)), true);
    t.equal(notify('READY=1\nX_RAW=…\n', to(receiver.address)), true);
    const first = await receiver.message();
    t.equal(first.text, 'READY=1\nSTATUS=Grüße');
    t.equal(first.pid, process.pid);
    t.same(first.fds, []);
    t.equal((await receiver.message()).text, 'READY=1\nX_RAW=…\n');
    // Around the size of the buffer that short messages take.
    for (const length of [4089, 4000]) {
      notify({ status: 'x'.repeat(length) }, to(receiver.address));
      t.equal((await receiver.message()).text.length, 'STATUS='.length + length);
    }
  });
}

t.test('NOTIFY_SOCKET of the process is used and stays for its children', async (t) => {
  const receiver = await receive(t, join(temporaryFolder(t), 'notify'));
  const source = `import { notify } from 'listenfds';
    console.log(JSON.stringify([notify({ ready: true }), process.env.NOTIFY_SOCKET]));`;
  const result = await resultOf(t, source, { env: { NOTIFY_SOCKET: receiver.address } });
  t.same(result, [true, receiver.address]);
  t.equal((await receiver.message()).text, 'READY=1');
});

t.test('an address that is none is an error of the environment', (t) => {
  for (const address of [
    'notify',
    '@',
    './notify',
    'vsock:2',
    'vsock::1234',
    'vsock:4294967295:1234',
    'vsock:2:4294967295',
    'vsock:2:99999999999',
    'vsock-raw:2:1234',
    'vsock-stream:2:',
    'unix:/run/notify',
    `/${'x'.repeat(107)}`,
    `@${'x'.repeat(108)}`,
  ]) {
    t.throws(
      () => notify({ ready: true }, to(address)),
      { code: 'LISTENFDS_BAD_ENVIRONMENT', variable: 'NOTIFY_SOCKET' },
      address,
    );
  }
  t.end();
});

t.test('descriptors arrive, and are the ones that were meant', async (t) => {
  const folder = temporaryFolder(t);
  const receiver = await receive(t, join(folder, 'notify'));
  const fds = ['a', 'b', 'c'].map((name) => {
    writeFileSync(join(folder, name), name);
    return openSync(join(folder, name), 'r');
  });
  t.teardown(() => fds.forEach((fd) => closeSync(fd)));
  const inodes = fds.map((fd) => String(fstatSync(fd, { bigint: true }).ino));
  notify({ fdStore: true, fdName: 'letters' }, { fds: [fds[2]!, fds[0]!, fds[1]!], ...to(receiver.address) });
  const { text, fds: arrived } = await receiver.message();
  t.equal(text, 'FDSTORE=1\nFDNAME=letters');
  t.same(
    arrived.map(({ inode }) => inode),
    [inodes[2], inodes[0], inodes[1]],
  );
  t.doesNotThrow(() => fds.forEach((fd) => fstatSync(fd)), 'they stay open here');

  await receiver.command('hold'); // what it receives it keeps: the limit must not depend on that
  notify({ fdStore: true }, { fds: Array.from({ length: maxMessageFds }, () => fds[0]!), ...to(receiver.address) });
  const many = await receiver.message();
  t.equal(many.fds.length, 253);
  t.ok(many.fds.every(({ inode }) => inode === inodes[0]));
  await receiver.command('release');
  t.throws(() => notify({ fdStore: true }, { fds: Array.from({ length: 254 }, () => 0), ...to(receiver.address) }), {
    code: 'LISTENFDS_BAD_OPTION',
    message: /fds is .*, but must be an array of at most 253 descriptors/,
  });
});

t.test('descriptors and pids that are none are refused', async (t) => {
  const receiver = await receive(t, join(temporaryFolder(t), 'notify'));
  for (const options of [{ fds: [-1] }, { fds: [1.5] }, { fds: ['3'] }, { fds: 3 }, { pid: -1 }, { pid: 'self' }]) {
    t.throws(() => notify({ ready: true }, { ...options, ...to(receiver.address) } as object), {
      code: 'LISTENFDS_BAD_OPTION',
    });
  }
  const closed = 1_000_000;
  t.throws(() => notify({ fdStore: true }, { fds: [1, closed], ...to(receiver.address) }), {
    code: 'EBADF',
    syscall: 'sendmsg',
    message: /with fds 1, 1000000/,
  });
  notify({ ready: true }, to(receiver.address));
  t.equal((await receiver.message()).text, 'READY=1', 'and nothing had been sent');
});

const notRoot = unless(process.getuid!() === 0, 'needs root');

t.test('pid speaks for another process where that is allowed', { skip: notRoot }, async (t) => {
  const receiver = await receive(t, join(temporaryFolder(t), 'notify'));
  const other = activateModule(t, 'setInterval(() => {}, 1000)');
  notify({ ready: true }, { pid: other.pid, ...to(receiver.address) });
  t.equal((await receiver.message()).pid, other.pid);
  notify({ ready: true }, { pid: other.pid, fds: [0], ...to(receiver.address) });
  const both = await receiver.message();
  t.equal(both.pid, other.pid);
  t.equal(both.fds.length, 1);
  notify({ ready: true }, { pid: process.pid, ...to(receiver.address) });
  t.equal((await receiver.message()).pid, process.pid);
});

t.test('after privileges are dropped', { skip: notRoot }, async (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  const receiver = await receive(t, join(folder, 'notify'));
  const source = `import { notify } from 'listenfds';
    notify({ status: 'root' });
    process.setegid(65534); process.seteuid(65534);
    notify({ status: 'effective' });
    process.setegid(0); process.seteuid(0);
    process.setgid(65534); process.setuid(65534);
    notify({ status: 'nobody' });
    notify({ status: 'pretender' }, { pid: 1, fds: [0] });
    console.log(process.pid);`;
  const pid = await resultOf<number>(t, source, { env: { NOTIFY_SOCKET: receiver.address } });
  const seen = async (): Promise<unknown[]> => {
    const message = await receiver.message();
    return [message.text, message.pid, message.uid, message.gid, message.fds.length];
  };
  t.same(await seen(), ['STATUS=root', pid, 0, 0, 0]);
  t.same(await seen(), ['STATUS=effective', pid, 0, 0, 0], 'the real user is what counts, as in C');
  t.same(await seen(), ['STATUS=nobody', pid, 65534, 65534, 0]);
  t.same(await seen(), ['STATUS=pretender', pid, 65534, 65534, 1], 'who may not speak for another speaks for itself');
});

t.test('a manager whose socket vanishes is an error for the caller; one that comes back is found', async (t) => {
  const path = join(temporaryFolder(t), 'notify');
  const first = await receive(t, path);
  notify({ status: 'first' }, to(path));
  t.equal((await first.message()).text, 'STATUS=first');
  await first.close();
  t.throws(() => notify({ status: 'lost' }, to(path)), { code: 'ECONNREFUSED', syscall: 'sendmsg' });
  rmSync(path);
  t.throws(() => notify({ status: 'lost' }, to(path)), {
    code: 'ENOENT',
    errno: -2,
    message: `ENOENT: no such file or directory, sendmsg NOTIFY_SOCKET=${path}`,
  });
  const second = await receive(t, path);
  notify({ status: 'second' }, to(path));
  t.equal((await second.message()).text, 'STATUS=second');
});

t.test('a manager that does not read: an error, soon, and all goes on once it does', async (t) => {
  const receiver = await receive(t, join(temporaryFolder(t), 'notify'));
  await receiver.command('pause');
  let sent = 0;
  let slowest = 0;
  let error: unknown;
  for (let failures = 0; failures < 5;) {
    const began = performance.now();
    try {
      notify({ X_NUMBER: sent }, to(receiver.address));
      sent += 1;
    } catch (caught) {
      failures += 1;
      error = caught;
    }
    slowest = Math.max(slowest, performance.now() - began);
  }
  t.match(error, { code: 'EAGAIN', syscall: 'sendmsg' });
  t.ok(sent > 10, `${sent} messages fit in`);
  t.comment(`${sent} messages fit in, the slowest call took ${slowest} ms`);
  t.ok(slowest < 200, `no call took long: ${slowest} ms`); // 4 ms on a machine that has nothing else to do
  await receiver.command('resume');
  for (let i = 0; i < sent; i++) {
    if ((await receiver.message()).text !== `X_NUMBER=${i}`) t.fail(`message ${i}`);
  }
  notify({ ready: true }, to(receiver.address));
  t.equal((await receiver.message()).text, 'READY=1');
});

t.test('10,000 messages leave no descriptor behind, in worker threads neither', async (t) => {
  const receiver = await receive(t, `@${temporaryFolder(t)}`);
  // Nobody needs to see them: what is left is counted in the program itself.
  const source = `import { notify } from 'listenfds';
    import { readdirSync } from 'node:fs';
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    const open = () => readdirSync('/proc/self/fd').length;
    const many = (count) => {
      let sent = 0;
      for (let i = 0; i < count; i++) {
        try { sent += notify({ status: String(i) }) ? 1 : 0; } catch (error) { if (error.code !== 'EAGAIN') throw error; }
        try { notify({ status: 'lost' }, { env: { NOTIFY_SOCKET: '/nonexistent' } }); } catch {}
      }
      return sent;
    };
    const work = async () => {
      const worker = new Worker(\`import('listenfds').then(({ notify }) => notify({ status: 'from a worker' }));\`, { eval: true });
      const [code] = await once(worker, 'exit');
      if (code !== 0) throw new Error(String(code));
    };
    many(1);
    await work();
    const before = open();
    const sent = many(10_000);
    for (let i = 0; i < 10; i++) await work();
    console.log(JSON.stringify({ before, after: open(), sent }));`;
  const ended = resultOf(t, source, { env: { NOTIFY_SOCKET: receiver.address } });
  let workers = 0;
  let total = 0;
  const counted = (async () => {
    for (;;) {
      const { text } = await receiver.message();
      if (text === 'STATUS=end') return;
      total += 1;
      if (text === 'STATUS=from a worker') workers += 1;
    }
  })();
  const { before, after, sent } = await ended;
  notify({ status: 'end' }, to(receiver.address));
  await counted;
  t.equal(after, before);
  t.equal(workers, 11);
  t.equal(total, sent + 1 + workers, 'every message that was sent has arrived');
});

t.test('a descriptor that was closed behind our back is never written to again', async (t) => {
  const receiver = await receive(t, join(temporaryFolder(t), 'notify'));
  // Something closes every descriptor it does not know, and a connection gets the number.
  const source = `import { notify } from 'listenfds';
    import { closeSync, readdirSync, readlinkSync } from 'node:fs';
    import { once } from 'node:events';
    import { connect, createServer } from 'node:net';
    const sockets = () => readdirSync('/proc/self/fd').filter((fd) => {
      try { return readlinkSync('/proc/self/fd/' + fd).startsWith('socket:'); } catch { return false; }
    });
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const before = sockets();
    notify({ status: 'first' });
    const [ours] = sockets().filter((fd) => !before.includes(fd));
    closeSync(Number(ours));
    const client = connect(server.address().port, '127.0.0.1');
    const [[connection]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
    const reused = client._handle.fd === Number(ours) || connection._handle.fd === Number(ours);
    notify({ status: 'second' });
    client.end('over');
    connection.end();
    let text = '';
    for (const stream of [connection, client]) for await (const chunk of stream) text += chunk;
    server.close();
    console.log(JSON.stringify({ reused, text }));`;
  const result = await resultOf(t, source, { env: { NOTIFY_SOCKET: receiver.address } });
  t.same(result, { reused: true, text: 'over' });
  t.equal((await receiver.message()).text, 'STATUS=first');
  t.equal((await receiver.message()).text, 'STATUS=second');
});
