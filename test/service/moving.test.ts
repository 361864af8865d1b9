// Idle HTTP/1 connections move to the next process: their clients notice nothing.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import * as insides from '../../dist/insides.js';
import { activate, root } from '../support/activate.ts';
import { as, withoutOtherUsers } from '../support/as.ts';
import { Run } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { gone } from '../support/processes.ts';
import { RawClient } from '../support/raw-client.ts';
import { alive, answer, exitOf, listening, start, upgrade } from '../support/upgradable.ts';

const { binding } = insides;

/** A successor in another language, which knows LISTEN_FDS and READY=1 and nothing else. */
const foreign = [
  'python3',
  '-c',
  `import os, select, socket
listener = socket.socket(fileno=3)
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'].replace('@', chr(0), 1))
while True:
    select.select([listener], [], [])
    try:
        client, _ = listener.accept()
    except BlockingIOError:
        continue
    client.setblocking(True)
    client.recv(65536)
    client.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 7\\r\\nConnection: close\\r\\n\\r\\nforeign')
    client.close()`,
];

/** An upgrade takes long on a busy machine. */
const patient = { KEEP_ALIVE: '60000' };

const pidOf = (text: string): number => Number(/pid (\d+)\n$/.exec(text)?.[1]);

t.jobs = 4;

t.test('in an upgrade idle connections go to the successor, and those in flight when they are answered', async (t) => {
  const service = await start(t, { env: patient });
  const old = service.pid;
  const idle = Array.from({ length: 300 }, () => new RawClient(service.port));
  for (const client of idle) t.equal(pidOf(await client.ask('/', /pid \d+\n$/)), old);
  const slow = new RawClient(service.port);
  slow.send('/slow?ms=3000');
  // As browsers open them in advance.
  const silent = new RawClient(service.port);
  await once(silent.socket, 'connect');
  const half = new RawClient(service.port);
  await half.ask('/', /pid \d+\n$/);
  half.text = '';
  half.socket.write('GET / HTTP/1.1\r\nHost: te');
  const { exitCode } = await upgrade(old);
  t.equal(exitCode, 0);
  const started = performance.now();
  const next = await Promise.all(idle.map(async (client) => pidOf(await client.ask('/', /pid \d+\n$/))));
  t.notOk(next.includes(old), 'the successor answers on the same connections');
  t.equal(new Set(next).size, 1);
  t.equal(pidOf(await silent.ask('/', /pid \d+\n$/)), next[0], 'also on one that nothing was ever sent on');
  t.ok(performance.now() - started < 3_000);
  half.socket.write('st\r\n\r\n');
  await half.until(/pid \d+\n$/);
  t.equal(pidOf(half.text), old, 'what is half read does not move');
  await slow.until(/slow \d+\n$/);
  t.match(slow.text, new RegExp(`Connection: keep-alive[^]*slow ${old}`));
  let pid = old;
  // A request that comes in the turn of the answer is still the old one's.
  while (pid === old) pid = pidOf(await slow.ask('/', /pid \d+\n$/));
  t.equal(pid, next[0], 'answered, and moved');
  t.equal(await exitOf(service), 0);
  t.same(alive(service), [next[0]]);
  for (const client of [...idle, slow, half, silent]) client.socket.destroy();
});

/** Resolves when nobody listens there any more. */
async function closed(port: number): Promise<void> {
  for (let connected = true; connected;) {
    const probe = connect(port, '127.0.0.1');
    connected = await new Promise<boolean>((resolve) => {
      probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    probe.destroy();
  }
}

t.test('a successor that stops answers on connections that come to it later', async (t) => {
  // It has room for that one.
  const service = await start(t, { env: { ...patient, MAX_CONNECTIONS: '1' } });
  const old = service.pid;
  const client = new RawClient(service.port);
  client.socket.write('POST /whole HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\na');
  await once(client.socket, 'connect');
  t.match(await upgrade(old), { exitCode: 0 });
  const { pid: next } = await listening(service);
  process.kill(next, 'SIGTERM');
  await closed(service.port);
  client.socket.write('b');
  await client.until(/whole \d+\n$/);
  t.match(client.text, new RegExp(`Connection: keep-alive[^]*whole ${old}`));
  let pid = old;
  while (pid === old) pid = pidOf(await client.ask('/', /pid \d+\n$/));
  t.equal(pid, next);
  t.match(client.text, /Connection: close/);
  await gone(next);
  t.equal(await exitOf(service), 0);
  t.same(alive(service), []);
});

t.test('the connections of all serve() calls of a process go to the successor', async (t) => {
  const service = await start(t, { program: 'serve-several.js', env: patient });
  const clients = [service.port, service.admin].flatMap((port) => Array.from({ length: 5 }, () => new RawClient(port)));
  const ask = (): Promise<string[]> =>
    Promise.all(clients.map(async (client) => /(\w+ pid \d+)\n$/.exec(await client.ask('/', /pid \d+\n$/))![1]!));
  const all = (pid: number): string[] => ['web', 'admin'].flatMap((what) => Array(5).fill(`${what} pid ${pid}`));
  t.same(await ask(), all(service.pid));
  let old = service.pid;
  for (let i = 0; i < 2; i++) {
    t.match(await upgrade(old), { exitCode: 0 });
    const { pid } = await listening(service);
    t.same(await ask(), all(pid));
    await gone(old);
    old = pid;
  }
  t.same(alive(service), [old]);
  for (const client of clients) client.socket.destroy();
});

t.test('a connection may be idle as long as it might have been without moving', async (t) => {
  const service = await start(t, { program: 'serve-several.js', env: { KEEP_ALIVE: '20000' } });
  const client = new RawClient(service.port);
  t.equal(pidOf(await client.ask('/', /pid \d+\n$/)), service.pid);
  const answered = performance.now();
  let old = service.pid;
  for (let i = 0; i < 2; i++) {
    t.match(await upgrade(old), { exitCode: 0 });
    old = (await listening(service)).pid;
  }
  await client.ended;
  const took = performance.now() - answered;
  t.ok(took > 19_900 && took < 24_000, `closed after ${Math.round(took)} ms`);
});

t.test('a successor that is no listenfds program does not get them: they have their grace', async (t) => {
  const service = await start(t, {
    env: patient,
    options: { upgrade: { command: foreign, timeout: 10_000 }, drain: { grace: 5_000 } },
  });
  const [idle, late] = [new RawClient(service.port), new RawClient(service.port)];
  await Promise.all([idle, late].map((client) => client.ask('/', /pid \d+\n$/)));
  t.match(await upgrade(service.pid), { exitCode: 0 });
  t.equal(pidOf(await late.ask('/', /pid \d+\n$/)), service.pid, 'a request on its way is answered by the old process');
  await Promise.all([idle.ended, late.ended]);
  t.notOk(idle.socket.errored);
  t.equal(await exitOf(service), 0);
  t.equal(await answer(service.port), 'foreign', 'and new visitors by the new one');
});

/** Has more descriptors on their way than a service of its user may: unix(7), ETOOMANYREFS. */
const sender = `import array, socket, sys
near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
for _ in range(2):
    near.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0] * 250))])
print('sent', flush=True)
sys.stdin.read()`;

t.test('over the limit of the kernel they stay, and have their grace', { skip: withoutOtherUsers() }, async (t) => {
  const user = as({ uid: 61_547, gid: 61_547 });
  const through = ['prlimit', '--nofile=400:400', ...user];
  const service = await start(t, { program: 'serve-several.js', through, env: patient });
  const [idle, late] = [new RawClient(service.port), new RawClient(service.port)];
  await Promise.all([idle, late].map((client) => client.ask('/', /pid \d+\n$/)));
  const other = activate(t, ['/usr/bin/python3', '-c', sender], { through: user, stdin: 'pipe' });
  t.equal(await other.line(), 'sent');
  t.match(await upgrade(service.pid), { exitCode: 0 });
  t.equal(pidOf(await late.ask('/', /pid \d+\n$/)), service.pid, 'a request on its way is answered by the old process');
  await Promise.all([idle.ended, late.ended]);
  t.notOk(idle.socket.errored);
  t.equal(await exitOf(service), 0);
  const { pid } = await listening(service);
  t.match(await answer(service.port), `web pid ${pid}`);
});

/** After an hour, say: nothing here waits for it, the time is the predecessor's word. */
t.test('a start long after: who has sent something meanwhile is answered, and the rest is closed', async (t) => {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted: Socket[] = [];
  server.on('connection', (socket) => accepted.push(socket));
  const { port } = server.address() as AddressInfo;
  const clients = Array.from({ length: 2 }, () => new RawClient(port));
  while (accepted.length < 2) await once(server, 'connection');
  const descriptor = (of: unknown): number => (of as { _handle: { fd: number } })._handle.fd;
  const [near, far] = binding().socketPair() as [number, number];
  const until = Number(process.hrtime.bigint() / 1_000_000n) - 3_600_000;
  const said = { server: `127.0.0.1:${port}`, until: accepted.map(() => until) };
  binding().sendMessage(near, Buffer.from(JSON.stringify(said)), null, Int32Array.from(accepted, descriptor));
  clients[0]!.send('/');
  const program = activate(t, [process.execPath, 'test/fixtures/serve.js'], {
    fds: [descriptor(server), far],
    names: ['web', 'listenfds-connections'],
  });
  t.match(await program.line(), /^listening inherited/);
  const began = performance.now();
  for (const fd of [near, far]) binding().closeFd(fd);
  for (const socket of accepted) socket.destroy();
  server.close();
  await clients[0]!.until(/pid \d+\n$/);
  t.equal(pidOf(clients[0]!.text), program.pid);
  await clients[1]!.ended;
  const took = performance.now() - began;
  t.ok(took > 900 && took < 4_000, `the other one is closed after ${Math.round(took)} ms`);
  t.equal(pidOf(await clients[0]!.ask('/', /pid \d+\n$/)), program.pid, 'the first one goes on');
  clients[0]!.socket.destroy();
});

t.test('connections that have moved hold off idle exit no longer than others', async (t) => {
  const behaviour = join(temporaryFolder(t), 'behaviour');
  writeFileSync(behaviour, '');
  const program = [process.execPath, join(root, 'test/fixtures/upgrade.js')];
  const env = { ...patient, BEHAVIOUR: behaviour, SERVE_OPTIONS: '{"idleTimeout":15000}' };
  const run = new Run(t, ['-l', '127.0.0.1:0', '--now', '--', ...program], { env });
  const port = await run.port();
  const client = new RawClient(port);
  const old = pidOf(await client.ask('/', /pid \d+\n$/));
  const began = performance.now();
  t.match(await upgrade(old), { exitCode: 0 });
  await client.ended;
  const took = performance.now() - began;
  t.ok(took > 14_900 && took < 30_000, `closed after ${Math.round(took)} ms`);
  t.notOk(client.text === '' || client.socket.errored);
});
