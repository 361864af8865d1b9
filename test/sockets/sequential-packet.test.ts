import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { describe, peerCredentials } from 'listenfds';
import {
  connectSequentialPacket,
  listenSequentialPacket,
  type SequentialPacketServer,
  type SequentialPacketSocket,
  type SequentialPacketTarget,
} from 'listenfds/sockets';
import { activate, activateModule, resultOf } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { without } from '../support/tools.ts';

interface Test {
  teardown(action: () => unknown): unknown;
}

async function open(t: Test, target: SequentialPacketTarget): Promise<SequentialPacketServer> {
  const { server } = await listenSequentialPacket({ activation: 'never', ...target });
  t.teardown(() => server.close());
  return server;
}

/** Both ends of a new connection. */
async function pair(
  t: Test,
  target: SequentialPacketTarget = {},
): Promise<{ server: SequentialPacketServer; near: SequentialPacketSocket; far: SequentialPacketSocket }> {
  const path = join(temporaryFolder(t), 's');
  const server = await open(t, { path, ...target });
  const accepted = once(server, 'connection') as Promise<[SequentialPacketSocket]>;
  const { socket: near } = await connectSequentialPacket(path, { allowHalfOpen: target.allowHalfOpen ?? false });
  const [far] = await accepted;
  t.teardown(() => [near, far].map((socket) => socket.destroy()));
  return { server, near, far };
}

const openFds = (): number => readdirSync('/proc/self/fd').length;

const echo = (target: string): string => `
  import { listenSequentialPacket } from 'listenfds/sockets';
  const { server } = await listenSequentialPacket(${target});
  server.on('connection', (socket) => socket.on('data', (packet) => socket.write(packet)));
  console.log(JSON.stringify({ address: server.address() }));`;

// Sends packets, ends its half, and prints what came back: python as an independent client.
const client = (path: string, packets: string[]): string[] => [
  'python3',
  '-c',
  `
import socket, json
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(${JSON.stringify(path)})
sent = json.loads(${JSON.stringify(JSON.stringify(packets))})
for packet in sent: s.send(packet.encode())
print(json.dumps([s.recv(65536).decode() for _ in sent]))
s.shutdown(socket.SHUT_WR)
print(json.dumps([len(s.recv(65536)), len(s.recv(65536))]))`,
];

t.test('an inherited listener is adopted, its packets stay apart, and an empty one is not the end', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const program = activateModule(t, echo(`{ name: 'control' }`), {
    fds: [`unix_seqpacket("${path}")`],
    names: ['control'],
  });
  t.same(await program.json(), { address: path });
  const packets = ['one', '', 'three', '', ''];
  const python = activate(t, client(path, packets));
  t.same(await python.json(), packets);
  t.same(await python.json(), [0, 0], 'our end follows theirs');
});

t.test(
  'packets reach a service of systemd-socket-activate --seqpacket',
  { skip: without('systemd-socket-activate') },
  async (t) => {
    const path = join(temporaryFolder(t), 's');
    const command = [process.execPath, '--input-type=module', '-e', echo(JSON.stringify(path))];
    const manager = activate(t, ['systemd-socket-activate', '--seqpacket', '-l', path, ...command]);
    while (!manager.stderr.includes('Listening on')) await once(manager.child.stderr!, 'data');
    const python = activate(t, client(path, ['a', 'b']));
    t.same(await python.json(), ['a', 'b']);
  },
);

t.test('a stream listener is refused, a connected one too', async (t) => {
  const source = `
    import { listenSequentialPacket } from 'listenfds/sockets';
    listenSequentialPacket({ name: 'x' }).catch(({ code, message }) => console.log(JSON.stringify({ code, message })));`;
  const stream = await resultOf(t, source, { fds: ['unix("@lfd-seq")'], names: ['x'] });
  t.equal(stream.code, 'LISTENFDS_WRONG_KIND');
  const connected = await resultOf(t, source, { fds: ['connected(socket.SOCK_SEQPACKET)'], names: ['x'] });
  t.match(connected.message, 'is a listening seqpacket socket');
});

t.test('by itself it binds as a socket unit would', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const server = await open(t, { path, mode: 0o600 });
  t.equal(statSync(path).mode & 0o777, 0o600);
  await t.rejects(open(t, { path }), { code: 'EADDRINUSE' });
  const closed = once(server, 'close');
  server.close();
  await closed;
  t.notOk(existsSync(path));
  t.equal(server.address(), null);
  await t.rejects(connectSequentialPacket(path), { code: 'ENOENT' });
  await t.rejects(open(t, { address: '127.0.0.1:80' }), { code: 'LISTENFDS_BAD_ADDRESS' });
  const error = await new Promise((resolve) => server.close(resolve));
  t.match(error, { code: 'LISTENFDS_CLOSED' });
});

t.test('a client gets an abstract name when it first sends', async (t) => {
  const { near, far } = await pair(t);
  const name = () => describe(near.fd).address;
  t.equal(name(), null);
  near.write('first');
  await once(far, 'data');
  t.match(name(), /^\0[0-9a-f]{5}$/);
});

t.test('a reader that pauses holds the writer back', async (t) => {
  const { near, far } = await pair(t);
  const packet = Buffer.alloc(1000, 'x');
  let written = 0;
  while (near.write(packet)) written += 1;
  let blocked = false;
  for (let i = 0; i < 20_000 && !blocked; i++) {
    near.write(packet);
    written += 1;
    await turn();
    blocked = near.writableLength > 100;
  }
  t.ok(blocked, 'the kernel took no more');
  t.ok(far.readableLength <= far.readableHighWaterMark + 32, 'and we did not either');
  near.end();
  let got = 0;
  for await (const chunk of far) got += (chunk as Buffer).length === 1000 ? 1 : 0;
  t.equal(got, written + 1, 'nothing was lost');
});

t.test('either half can end first', async (t) => {
  const { near, far } = await pair(t, { allowHalfOpen: true });
  far.resume();
  near.end('request');
  await once(far, 'end');
  t.ok(far.writable);
  far.end(Buffer.from('answer'));
  const answers: string[] = [];
  for await (const chunk of near) answers.push(String(chunk));
  t.same(answers, ['answer']);
  if (!far.closed) await once(far, 'close');
});

t.test('a packet that is too long is an error, not a part of it', async (t) => {
  const { near, far } = await pair(t, { maxMessageSize: 100 });
  far.resume();
  const failed = once(far, 'error');
  near.on('error', () => {});
  near.write(Buffer.alloc(100));
  near.write(Buffer.alloc(101));
  t.match((await failed)[0], { code: 'LISTENFDS_TRUNCATED', message: /101 bytes/ });
});

t.test('errors of the other end arrive', async (t) => {
  const { near, far } = await pair(t);
  far.destroy();
  await once(far, 'close');
  near.on('error', () => {});
  let error: unknown = null;
  // A thread closes the descriptor: until then a packet arrives, and is lost with it.
  while (!error) error = await new Promise((resolve) => near.write('into the void', resolve));
  t.match(error, { code: /^(?:EPIPE|ECONNRESET)$/, syscall: 'write' });
  t.ok(near.destroyed);
});

t.test('authorize() and limits decide at the door', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const server = await open(t, { path, authorize: { uids: [process.getuid!() + 1] } });
  server.on('connection', () => t.fail('nobody was to get in'));
  const { socket: refused } = await connectSequentialPacket(path);
  refused.resume();
  await once(refused, 'end');

  const narrow = join(temporaryFolder(t), 'n');
  await open(t, { path: narrow, maxConnections: 1, authorize: { uids: [process.getuid!()] } }).then((one) =>
    one.on('connection', (s) => s.write('welcome')),
  );
  const { socket: first } = await connectSequentialPacket(narrow);
  t.equal(String((await once(first, 'data'))[0]), 'welcome');
  const { socket: second } = await connectSequentialPacket(narrow);
  second.resume();
  await once(second, 'end');
  first.destroy();
});

t.test('without descriptors connections wait, and are served when there are some again', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const source = `
    import fs from 'node:fs';
    import { listenSequentialPacket } from 'listenfds/sockets';
    const { server } = await listenSequentialPacket(${JSON.stringify(path)});
    server.on('error', (error) => console.log(JSON.stringify(error.code)));
    server.on('connection', (socket) => socket.end('served'));
    process.on('SIGUSR2', () => open.splice(0).forEach((fd) => fs.closeSync(fd)));
    const open = [];
    process.stdout; // needs a descriptor of its own
    try { for (;;) open.push(fs.openSync('/dev/null')); } catch {}
    console.log(JSON.stringify('exhausted'));`;
  const program = activateModule(t, source, { through: ['prlimit', '--nofile=100'] });
  t.equal(await program.json(), 'exhausted');
  const sockets = await Promise.all(Array.from({ length: 5 }, () => connectSequentialPacket(path)));
  process.kill(program.pid, 'SIGUSR2');
  for (const { socket } of sockets) {
    t.equal(String((await once(socket, 'data'))[0]), 'served');
    socket.destroy();
  }
  t.equal((await program.kill()).stdout, '"exhausted"\n', 'and nobody is told of an error');
});

t.test('a closed connection has no descriptor, and nobody else is taken for its peer', async (t) => {
  const { server, near } = await pair(t);
  const { fd } = near;
  near.destroy();
  await once(near, 'close');
  // The number is another connection's soon; its peer must not be told instead.
  let next: SequentialPacketSocket;
  do {
    next = (await connectSequentialPacket(server.address()!)).socket;
    t.teardown(() => next.destroy());
  } while (next.fd < fd);
  t.equal(next.fd, fd);
  t.match(peerCredentials(next), { pid: process.pid });
  t.equal(near.fd, -1);
  t.throws(() => peerCredentials(near), { code: 'EBADF' });
});

t.test('ten thousand connections, packets with descriptors and errors leave none behind', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const server = await open(t, { path });
  server.on('connection', (socket) => socket.on('error', () => {}).on('data', (packet) => socket.end(packet)));
  const python = `
import array, socket
for i in range(10000):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(${JSON.stringify(path)})
    if i % 3 == 0:
        try:
            s.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0, 1]))])
        except PermissionError: # Linux 6.16: the listener takes none
            s.send(b'x')
        s.recv(10)
    elif i % 3 == 1:
        s.send(b'y')
    s.close()
print('"done"', flush=True)`;
  const before = openFds();
  const client = activate(t, ['python3', '-c', python]);
  const { stdout } = await client.ended;
  t.match(stdout, 'done');
  await new Promise<void>((resolve, reject) => {
    const look = (): void =>
      server.getConnections((error, count) => (error ? reject(error) : count === 0 ? resolve() : setImmediate(look)));
    look();
  });
  t.equal(openFds(), before);
});

t.test('a data listener that throws loses its own packet, and none of the others', async (t) => {
  const source = `
    import { connectSequentialPacket, listenSequentialPacket } from 'listenfds/sockets';
    const failures = [];
    process.on('uncaughtException', ({ message }) => failures.push(message));
    const { server } = await listenSequentialPacket('@lfd-throws-${process.pid}');
    const got = [];
    server.on('connection', (socket) => {
      socket.on('data', (packet) => {
        got.push(Number(packet));
        if (got.length % 5 === 3) throw new Error('failed at ' + packet);
      });
      socket.on('end', () => {
        console.log(JSON.stringify({ got, failures }));
        server.close();
      });
    });
    const { socket: client } = await connectSequentialPacket('@lfd-throws-${process.pid}');
    for (let i = 0; i < 20; i++) client.write(String(i));
    client.end();`;
  const { got, failures } = (await resultOf(t, source)) as { got: number[]; failures: string[] };
  t.same(
    got,
    Array.from({ length: 20 }, (_, i) => i),
  );
  t.same(failures, ['failed at 2', 'failed at 7', 'failed at 12', 'failed at 17']);
});

t.test('a maxMessageSize that is not a size of messages is refused', async (t) => {
  const path = join(temporaryFolder(t), 's');
  await open(t, { path });
  for (const maxMessageSize of [Infinity, NaN, -1, 0, 1.5, 2 ** 40, '1']) {
    const expected = { code: 'LISTENFDS_BAD_OPTION', message: /^maxMessageSize is / };
    const target = { path: `${path}2`, maxMessageSize: maxMessageSize as number };
    await t.rejects(listenSequentialPacket({ ...target, activation: 'never' }), expected, `listen: ${maxMessageSize}`);
    await t.rejects(
      connectSequentialPacket(path, { maxMessageSize: target.maxMessageSize }),
      expected,
      `connect: ${maxMessageSize}`,
    );
  }
});
