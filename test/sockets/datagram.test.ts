import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { listenDatagram, type DatagramInfo, type DatagramTarget, type UnixDatagram } from 'listenfds/sockets';
import { activate, activateModule, resultOf } from '../support/activate.ts';
import * as insides from '../../dist/insides.js';
import { temporaryFolder } from '../support/folder.ts';
import { unless, without } from '../support/tools.ts';

type Message = [Buffer, DatagramInfo];

async function open(t: { teardown(action: () => unknown): unknown }, target: DatagramTarget): Promise<UnixDatagram> {
  const socket = (await listenDatagram({ activation: 'never', ...target })).socket as UnixDatagram;
  t.teardown(() => socket.close());
  return socket;
}

const next = (socket: UnixDatagram): Promise<Message> => once(socket, 'message') as Promise<Message>;
/** As on a socket that was passed, or before Linux 6.16: what is bound here lets nobody send descriptors that nobody wants. */
function allowRights(path: string): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    const facts = insides.binding().facts(fd);
    if (typeof facts !== 'number' && facts.local?.path === path) insides.binding().setSocketOption(fd, 'PassRights', 1);
  }
}

const openFds = (): number => readdirSync('/proc/self/fd').length;

// Answers every message with its text in capitals.
const shouter = (target: string): string => `
  import { listenDatagram } from 'listenfds/sockets';
  const { socket } = await listenDatagram(${target});
  socket.on('message', (message, info) => {
    const text = message.toString().toUpperCase();
    if (typeof info.path === 'string') socket.send(text, info.path);
    else socket.send(text, info.port, info.address);
  });
  console.log(JSON.stringify({ address: socket.address(), type: socket.constructor.name }));`;

t.test('an inherited unix datagram socket is adopted, and answers who wrote to it', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'log');
  const program = activateModule(t, shouter(`{ name: 'log' }`), { fds: [`unix_dgram("${path}")`], names: ['log'] });
  t.same(await program.json(), { address: path, type: 'UnixDatagram' });
  const client = await open(t, { path: join(folder, 'client') });
  const answer = next(client);
  t.equal(await client.send('hello', path), 5);
  const [message, info] = await answer;
  t.equal(message.toString(), 'HELLO');
  t.same(info, { path, size: 5, truncated: false, controlTruncated: false });
  t.ok(existsSync(path));
});

t.test(
  'a datagram reaches a service of systemd-socket-activate --datagram',
  { skip: without('systemd-socket-activate', 'socat') },
  async (t) => {
    const path = join(temporaryFolder(t), 's');
    const source = `
    import { listenDatagram } from 'listenfds/sockets';
    const { socket } = await listenDatagram(${JSON.stringify(path)});
    socket.once('message', (message) => { console.log(message.toString()); socket.close(); });`;
    const manager = activate(
      t,
      ['systemd-socket-activate', '-d', '-l', path, process.execPath, '--input-type=module', '-e', source],
      { env: { NODE_OPTIONS: '' } },
    );
    while (!manager.stderr.includes('Listening on')) await once(manager.child.stderr!, 'data');
    const socat = spawn('socat', ['-', `UNIX-SENDTO:${path}`]);
    socat.stdin.end('through socat');
    t.equal(await manager.line(), 'through socat');
    t.equal((await manager.ended).code, 0);
  },
);

t.test('UDP keeps the family and the broadcast flag of the descriptor', async (t) => {
  const source = `
    import { listenDatagram } from 'listenfds/sockets';
    const { socket } = await listenDatagram({ name: 'udp', host: '127.0.0.1', port: 1 });
    const { address, family } = socket.address();
    let broadcast = null;
    await new Promise((done) => socket.send('x', 9, '255.255.255.255', (error) => { broadcast = error?.code; done(); }));
    console.log(JSON.stringify({ address, family, broadcast: broadcast ?? 'ok' }));
    socket.close();`;
  const six = await resultOf(t, source, { fds: ['udp("::1")'], names: ['udp'] });
  t.match(six, { address: '::1', family: 'IPv6' });
  const four = await resultOf(t, source, { fds: ['udp()'], names: ['udp'] });
  t.same(four, { address: '127.0.0.1', family: 'IPv4', broadcast: 'EACCES' });
  const broadcasting = `(lambda s: (s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1), s)[1])(udp("0.0.0.0"))`;
  const allowed = await resultOf(t, source, { fds: [broadcasting], names: ['udp'] });
  t.not(allowed.broadcast, 'EACCES');
});

t.test('the choice between several, and what is wrong with it, is said as by listen()', async (t) => {
  const attempt = (target: string): string => `
    import { listenDatagram } from 'listenfds/sockets';
    process.on('warning', ({ code }) => console.log(JSON.stringify({ warning: code })));
    try {
      const { socket } = await listenDatagram(${target});
      console.log(JSON.stringify({ address: socket.address() }));
      socket.close();
    } catch ({ code, message }) {
      console.log(JSON.stringify({ code, message }));
    }`;
  const folder = temporaryFolder(t);
  const [a, b] = [join(folder, 'a'), join(folder, 'b')];
  const both = [`unix_dgram("${a}")`, `unix_dgram("${b}")`];
  t.same(await resultOf(t, attempt(JSON.stringify(b)), { fds: both }), { address: b });
  const [c, d] = [`unix_dgram("${join(folder, 'c')}")`, `unix_dgram("${join(folder, 'd')}")`];
  t.equal((await resultOf(t, attempt(`'/nowhere'`), { fds: [c, d] })).code, 'LISTENFDS_AMBIGUOUS');
  const stream = await resultOf(t, attempt(`{ name: 'x' }`), { fds: ['tcp()'], names: ['x'] });
  t.equal(stream.code, 'LISTENFDS_WRONG_KIND');
  t.match(stream.message, "No inherited descriptor named 'x' is a dgram socket");
  t.equal((await resultOf(t, attempt(`{ activation: 'required' }`))).code, 'LISTENFDS_NOT_ACTIVATED');
  t.equal((await resultOf(t, attempt(`{}`))).code, 'LISTENFDS_BAD_OPTION');
  t.equal((await resultOf(t, attempt(`'vsock:2:3'`))).code, 'LISTENFDS_BAD_ADDRESS');
  const elsewhere = activateModule(t, attempt(`'/nowhere'`), { fds: [`unix_dgram("${join(folder, 'e')}")`] });
  const { stdout } = await elsewhere.ended;
  t.match(stdout, '"warning":"LISTENFDS_ADDRESS_MISMATCH"');
});

t.test('by itself it binds as a socket unit would, and removes only what it made', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  const socket = await open(t, { path, mode: '0620' });
  t.equal(statSync(path).mode & 0o777, 0o620);
  await t.rejects(open(t, { path }), { code: 'EADDRINUSE' });
  socket.close();
  t.notOk(existsSync(path));

  const stale = await open(t, { path, removeOnStop: false });
  stale.close();
  t.ok(existsSync(path));
  const again = await open(t, { path, mode: 0o666 });
  t.equal(statSync(path).mode & 0o777, 0o666, 'whatever the umask is');
  again.close();

  writeFileSync(path, 'a file');
  await t.rejects(open(t, { path }), { code: 'EADDRINUSE' });
  t.equal(readFileSync(path, 'utf8'), 'a file');
  await t.rejects(open(t, { path: join(folder, 'missing', 's') }), { code: 'ENOENT' });
  await t.rejects(open(t, { path: join(folder, 'u'), user: 'no such user' }), { code: 'LISTENFDS_UNKNOWN_USER' });
  t.notOk(existsSync(join(folder, 'u')));

  const udp = (await listenDatagram({ activation: 'never', port: 0, broadcast: true })).socket as dgram.Socket;
  t.ok(udp.address().port > 0);
  udp.close();
});

t.test('what comes beside a message is told: credentials, timestamp, size, the empty message', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  const socket = await open(t, { path, passCredentials: true, timestamping: true, maxMessageSize: 1 << 20 });
  const client = await open(t, { address: `@${path}` });
  const before = Date.now();
  const first = next(socket);
  await client.send('', path);
  const [empty, info] = await first;
  t.equal(empty.length, 0);
  t.equal(info.path, `\0${path}`);
  t.same(info.credentials, { pid: process.pid, uid: process.getuid!(), gid: process.getgid!() });
  t.ok(info.timestamp! > before - 1000 && info.timestamp! < Date.now() + 1000);

  const back = next(client);
  await socket.send(Buffer.from('abstract'), info.path);
  t.equal((await back)[0].toString(), 'abstract');
});

t.test('a message that is too long is told from a whole one', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  const socket = await open(t, { path });
  const client = await open(t, { path: join(folder, 'c'), sendBuffer: 4 << 20 });
  const size = 300 * 1024;
  try {
    await client.send(Buffer.alloc(size, 'x'), path);
  } catch {
    t.comment('net.core.wmem_max is too small to send one');
    return;
  }
  const [message, info] = await next(socket);
  t.match(info, { truncated: true, size });
  t.equal(message.length, 256 * 1024);
});

t.test('descriptors that nobody wants are closed, wanted ones are ours and close on exec', async (t) => {
  const folder = temporaryFolder(t);
  const deaf = await open(t, { path: join(folder, 'deaf') });
  allowRights(join(folder, 'deaf'));
  const keen = await open(t, { path: join(folder, 'keen'), receiveFds: true });
  const client = await open(t, { path: join(folder, 'c') });
  const file = openSync('/dev/null', 'r');
  t.teardown(() => closeSync(file));
  const before = openFds();

  const unwanted = next(deaf);
  await client.send('take', join(folder, 'deaf'), { fds: [file, file, file] });
  t.notHas((await unwanted)[1], { fds: [] });
  t.equal(openFds(), before);

  const wanted = next(keen);
  await client.send('take', join(folder, 'keen'), { fds: [file, file] });
  const { fds } = (await wanted)[1];
  t.equal(fds!.length, 2);
  for (const fd of fds!) {
    t.equal(fstatSync(fd).rdev, fstatSync(file).rdev);
    t.match(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'), /flags:\s+0?2[0-9]{6}/, 'O_CLOEXEC');
    closeSync(fd);
  }
  t.equal(openFds(), before);

  await client.send('unread', join(folder, 'keen'), { fds: [file] });
  keen.close();
  t.equal(openFds(), before - 2, 'what was never read goes with the socket, and so does the hold on its file');
});

t.test('descriptors that find no room are reported', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const source = `
    import fs from 'node:fs';
    import { listenDatagram } from 'listenfds/sockets';
    const { socket } = await listenDatagram({ path: ${JSON.stringify(path)}, receiveFds: true });
    const { socket: client } = await listenDatagram('@' + ${JSON.stringify(path)});
    const open = [];
    await client.send('x', ${JSON.stringify(path)}, { fds: [1, 1] });
    try { for (;;) open.push(fs.openSync('/dev/null')); } catch {}
    fs.closeSync(open.pop());
    socket.once('message', (message, { fds, controlTruncated }) => {
      console.log(JSON.stringify({ fds: fds.length, controlTruncated }));
      process.exit();
    });`;
  t.same(await resultOf(t, source, { through: ['prlimit', '--nofile=200'] }), { fds: 1, controlTruncated: true });
});

t.test('a full queue makes a sender wait, in order, and nobody else', async (t) => {
  const folder = temporaryFolder(t);
  const [slow, quick] = [join(folder, 'slow'), join(folder, 'quick')];
  const receiver = await open(t, { path: slow });
  const other = await open(t, { path: quick });
  const client = await open(t, { path: join(folder, 'c'), sendBuffer: 1 << 20 });
  const sent: Promise<number>[] = [];
  const total = 2000;
  for (let i = 0; i < total; i++) sent.push(client.send(`${i}`, slow));
  t.ok(client.getSendQueueCount() > 0, 'some wait');
  t.ok(client.getSendQueueSize() > 0);
  await client.send('past the others', quick);
  t.equal((await next(other))[0].toString(), 'past the others');

  const got: number[] = [];
  const all = new Promise<void>((resolve) => {
    receiver.on('message', (message) => {
      got.push(Number(message.toString()));
      if (got.length === total) resolve();
    });
  });
  await all;
  await Promise.all(sent);
  t.same(
    got,
    Array.from({ length: total }, (_, i) => i),
  );
  t.equal(client.getSendQueueCount(), 0);
});

t.test('a connected socket waits for its peer without a timer', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  const receiver = await open(t, { path });
  const client = await open(t, { path: join(folder, 'c') });
  client.connect(path);
  await once(client, 'connect');
  const total = 3000;
  let got = 0;
  receiver.on('message', () => (got += 1));
  await Promise.all(Array.from({ length: total }, () => client.send('x')));
  while (got < total) await once(receiver, 'message');
  t.equal(got, total);
  client.disconnect();
  await t.rejects(client.send('x'), { code: 'ENOTCONN' });
});

t.test('sends fail with the reason, and closing fails what waits', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  const client = await open(t, { path: join(folder, 'c') });
  await t.rejects(client.send('x', path), { code: 'ENOENT', syscall: 'sendmsg' });
  const gone = await open(t, { path, removeOnStop: false });
  gone.close();
  await t.rejects(client.send('x', path), { code: 'ECONNREFUSED' });
  const code = await new Promise((resolve) => client.send('x', path, (error) => resolve((error as any).code)));
  t.equal(code, 'ECONNREFUSED');
  await t.rejects(client.send(Buffer.alloc(8 << 20), path));
  await t.rejects(client.send(1 as never, path), { code: 'LISTENFDS_BAD_OPTION' });

  const full = await open(t, { path: join(folder, 'full') });
  const waiting = Array.from({ length: 3000 }, () => client.send('x', full.address()));
  const closed = once(client, 'close');
  client.close();
  const results = await Promise.allSettled(waiting);
  t.match(results.at(-1), { status: 'rejected', reason: { code: 'LISTENFDS_CLOSED' } });
  await closed;
  t.throws(() => client.connect(path), { code: 'LISTENFDS_CLOSED' });
  client.close(() => {});
});

t.test('nothing is read while nobody listens, and a listener that throws costs only itself', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const source = `
    import { listenDatagram } from 'listenfds/sockets';
    import { once } from 'node:events';
    const path = ${JSON.stringify(path)};
    const { socket } = await listenDatagram(path);
    const { socket: client } = await listenDatagram('@' + path);
    for (let i = 0; i < 9; i++) await client.send(String(i), path);
    const got = [];
    for (let i = 0; i < 3; i++) got.push(String((await once(socket, 'message'))[0]));
    process.on('uncaughtException', (error) => got.push(error.message));
    socket.on('message', (message) => {
      got.push(String(message));
      if (got.length === 5) throw new Error('thrown');
      if (got.at(-1) === '8') { console.log(JSON.stringify(got)); process.exit(); }
    });`;
  t.same(await resultOf(t, source), ['0', '1', '2', '3', '4', 'thrown', '5', '6', '7', '8']);
});

t.test('it keeps the process alive until unref()', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const source = `
    import { listenDatagram } from 'listenfds/sockets';
    const { socket } = await listenDatagram(${JSON.stringify(path)});
    process.on('exit', () => console.log(JSON.stringify('exit')));
    socket.once('message', () => socket.unref());
    console.log(JSON.stringify('open'));`;
  const program = activateModule(t, source);
  t.equal(await program.json(), 'open');
  const client = await open(t, { address: `@${path}` });
  await client.send('x', path);
  t.equal(await program.json(), 'exit');
});

t.test('ten thousand messages with descriptors and as many errors leave no descriptor behind', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  const receiver = await open(t, { path });
  allowRights(path);
  const client = await open(t, { path: join(folder, 'c') });
  const file = openSync('/dev/null', 'r');
  t.teardown(() => closeSync(file));
  let got = 0;
  let errors = 0;
  receiver.on('message', () => (got += 1));
  const before = openFds();
  for (let i = 0; i < 10_000; i++) {
    await client.send('x', path, { fds: [file, file] });
    await client.send('x', join(folder, 'nobody')).catch(() => (errors += 1));
  }
  while (got < 10_000) await once(receiver, 'message');
  t.equal(errors, 10_000);
  // A thread closes what others have sent.
  while (openFds() > before) await new Promise((resolve) => setImmediate(resolve));
  t.equal(openFds(), before);
});

t.test('a worker thread that ends closes what it opened', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const before = openFds();
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    import('listenfds/sockets').then(async ({ listenDatagram }) => {
      const { socket } = await listenDatagram({ path: workerData, activation: 'never' });
      socket.on('message', () => {});
      parentPort.postMessage('open');
    });`;
  const worker = new Worker(source, { eval: true, workerData: path });
  await once(worker, 'message');
  const client = await open(t, { address: `@${path}` });
  await client.send('x', path);
  await worker.terminate();
  await t.rejects(client.send('x', path), { code: 'ECONNREFUSED' });
  client.close();
  t.ok(openFds() <= before);
});

t.test(
  'permissions decide who may send',
  { skip: unless(process.getuid!() === 0, 'needs root to become somebody else') },
  async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 's');
    chmodSync(folder, 0o755);
    const socket = await open(t, { path, mode: 0o620, group: 65534 });
    const send = `import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', ${JSON.stringify(path)})`;
    const as = (gid: number): Promise<number | null> =>
      once(spawn('/usr/bin/python3', ['-c', send], { uid: 65534, gid, stdio: 'ignore' }), 'close').then(
        ([code]) => code,
      );
    const message = next(socket);
    t.equal(await as(65534), 0);
    await message;
    t.equal(await as(65533), 1);
  },
);

t.test('what is not a descriptor is not sent as one', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const socket = await open(t, { path, receiveFds: true });
  for (const fd of [undefined, null, NaN, -1, 1.5, '1', 2 ** 32]) {
    t.throws(() => socket.send('x', path, { fds: [fd as number] }), { code: 'LISTENFDS_BAD_OPTION' }, String(fd));
  }
  const arrived = next(socket);
  await socket.send('last', path);
  t.equal(String((await arrived)[0]), 'last');
});

t.test('descriptors and labels are those of the message, however large messages may be', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const socket = await open(t, { path, receiveFds: true, passCredentials: true, maxMessageSize: 64 << 20 });
  const got: Message[] = [];
  socket.on('message', (...message) => got.push(message));
  const count = 32;
  const file = openSync('/dev/zero', 'r');
  // What the first holds would be read as numbers of descriptors.
  const first = Buffer.from(Int32Array.from({ length: 40_000 }, () => 1).buffer);
  for (let i = 0; i < count; i++) await socket.send(i === 0 ? first : String(i), path, i % 2 ? { fds: [file] } : {});
  closeSync(file);
  while (got.length < count) await once(socket, 'message');
  const zero = statSync('/dev/zero');
  for (const [i, [message, { fds = [] }]] of got.entries()) {
    if (i > 0) t.equal(String(message), String(i));
    t.equal(fds.length, i % 2, `descriptors of ${i}`);
    for (const fd of fds) {
      t.equal(fstatSync(fd).rdev, zero.rdev);
      closeSync(fd);
    }
  }
});
