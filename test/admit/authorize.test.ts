import { execFileSync, spawn } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { EventEmitter, once } from 'node:events';
import { chmodSync, closeSync, fstatSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import {
  authorize,
  listen,
  peerCredentials,
  type AuthorizationRule,
  type PeerCredentials,
  type RefusedMessage,
} from 'listenfds';
import { authorizeDatagrams, connectSequentialPacket, listenDatagram, listenSequentialPacket } from 'listenfds/sockets';
import { activate, activateModule } from '../support/activate.ts';
import { as, connectAs, isStopped, withoutOtherUsers, type Ids } from '../support/as.ts';
import { makeCertificate } from '../support/certificate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { without } from '../support/tools.ts';

interface Test {
  teardown(action: () => unknown): unknown;
}

const uid = process.geteuid!();
const gid = process.getegid!();
const other = uid + 1;

/** A folder that every user may enter. */
function openFolder(t: Test): string {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  return folder;
}

/** What is published about one server, as it comes. */
function refusals(t: Test, server: EventEmitter): RefusedMessage[] {
  const messages: RefusedMessage[] = [];
  const listener = (message: unknown): void => {
    if ((message as RefusedMessage).server === server) messages.push(message as RefusedMessage);
  };
  subscribe('listenfds:refused', listener);
  t.teardown(() => unsubscribe('listenfds:refused', listener));
  return messages;
}

async function serving(t: Test, server: Server, path = join(temporaryFolder(t), 's')): Promise<string> {
  server.listen({ path, writableAll: true, readableAll: true });
  t.teardown(() => server.close());
  await once(server, 'listening');
  return path;
}

/** What a client of this process gets from a server that says 'hello'. */
async function attempt(to: string | { port: number }): Promise<string> {
  const socket = typeof to === 'string' ? connect(to) : connect(to);
  let received = '';
  socket.on('data', (data) => (received += data));
  socket.on('error', (error: NodeJS.ErrnoException) => (received += error.code));
  await once(socket, 'close');
  return received;
}

const hello = (): Server => createServer((socket) => socket.end('hello'));

t.test('whoever is in one of the lists gets in, nobody else', async (t) => {
  const rules: [AuthorizationRule, boolean][] = [
    [{ uids: [uid] }, true],
    [{ uids: [other] }, false],
    [{ gids: [gid] }, true],
    [{ gids: [gid + 1] }, false],
    [{ uids: [other], gids: [gid] }, true],
    [{ users: [execFileSync('id', ['-un'], { encoding: 'utf8' }).trim()] }, true],
    [{ users: ['daemon'], uids: [other] }, uid === 1],
    [{ groups: [execFileSync('id', ['-gn'], { encoding: 'utf8' }).trim()] }, true],
    [(credentials) => credentials.pid === process.pid && credentials.uid === uid, true],
    [() => false, false],
  ];
  for (const [rule, allowed] of rules) {
    const server = hello();
    const authorization = authorize(server, rule);
    const path = await serving(t, server);
    const name = typeof rule === 'function' ? String(rule) : JSON.stringify(rule);
    t.equal(await attempt(path), allowed ? 'hello' : '', name);
    t.match(authorization, { allowed: Number(allowed), refused: Number(!allowed) });
  }
});

t.test('a refusal is published with who it was', async (t) => {
  const server = hello();
  const messages = refusals(t, server);
  authorize(server, { uids: [other] });
  t.equal(await attempt(await serving(t, server)), '');
  t.equal(messages.length, 1);
  const [{ socket, reason, credentials } = {} as RefusedMessage] = messages;
  t.ok(socket?.destroyed);
  t.equal(reason, `authorize: uid ${uid}, gid ${gid} (pid ${process.pid}) is not allowed`);
  t.match(credentials, { uid, gid, pid: process.pid, groups: Array });
});

t.test('a function that does not answer true, at once, lets nobody in', async (t) => {
  const warnings: string[] = [];
  const warn = (warning: Error): void => void warnings.push(warning.message);
  process.on('warning', warn);
  t.teardown(() => process.off('warning', warn));
  const answers: [answer: () => unknown, reason: RegExp][] = [
    [async () => true, /returned a promise/],
    [async () => Promise.reject(new Error('later')), /returned a promise/],
    [() => 1, /returned number/],
    [() => undefined, /returned undefined/],
    [
      () => {
        throw new Error('broken');
      },
      /the rule threw Error: broken/,
    ],
  ];
  for (const [answer, reason] of answers) {
    const server = hello();
    const messages = refusals(t, server);
    const authorization = authorize(server, answer as never);
    const path = await serving(t, server);
    t.equal(await attempt(path), '');
    t.equal(await attempt(path), '');
    t.match(messages, [{ reason }, { reason }]);
    t.equal(authorization.refused, 2);
  }
  t.equal(warnings.length, answers.length, 'each is worth a warning, once');
});

t.test('a connection that is not unix is refused', async (t) => {
  const server = hello().listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const messages = refusals(t, server);
  const authorization = authorize(server, () => true);
  t.equal(await attempt(server.address() as { port: number }), '');
  t.equal(authorization.refused, 1);
  t.match(messages, [{ reason: /^authorize: .*not a unix socket/, credentials: null }]);
});

t.test('a rule that cannot be meant is an error, and nothing changes', async (t) => {
  const wrong: unknown[] = [
    undefined,
    null,
    0,
    'root',
    [],
    [0],
    {},
    { uids: [] },
    { uids: [], groups: [] },
    { uid: [0] },
  ];
  wrong.push(
    { uids: 0 },
    { uids: ['root'] },
    { uids: [-1] },
    { uids: [1.5] },
    { uids: [0xffffffff] },
    { gids: [null] },
  );
  wrong.push({ users: [0] }, { users: [''] }, { groups: 'wheel' }, { uids: [0], pids: [1] });
  const server = hello();
  for (const rule of wrong) {
    const name = JSON.stringify(rule) ?? 'undefined';
    t.throws(() => authorize(server, rule as never), { code: 'LISTENFDS_BAD_OPTION' }, name);
    t.throws(() => authorizeDatagrams(server, rule as never), { code: 'LISTENFDS_BAD_OPTION' }, name);
  }
  t.throws(() => authorize(server, { users: ['no such user'] }), { code: 'LISTENFDS_UNKNOWN_USER' });
  // getpwnam(3) would read as far as the NUL.
  t.throws(() => authorize(server, { users: ['root\0, and more'] }), { code: 'LISTENFDS_UNKNOWN_USER' });
  t.throws(() => authorize(server, { groups: ['root\0'] }), { code: 'LISTENFDS_UNKNOWN_USER' });
  t.throws(() => authorize(server, { uids: [uid], groups: ['no such group'] }), { code: 'LISTENFDS_UNKNOWN_USER' });
  t.equal(await attempt(await serving(t, server)), 'hello');
});

t.test('a rule can be changed, two rules must both allow', async (t) => {
  const server = hello();
  const first = authorize(server, { uids: [uid] });
  const path = await serving(t, server);
  t.equal(await attempt(path), 'hello');
  first.change({ uids: [other] });
  t.equal(await attempt(path), '');
  t.throws(() => first.change({}), { code: 'LISTENFDS_BAD_OPTION' });
  t.equal(await attempt(path), '', 'a rule that is no rule leaves the one before');
  first.change({ uids: [uid] });
  t.equal(await attempt(path), 'hello');
  const second = authorize(server, () => false);
  t.equal(await attempt(path), '');
  t.match(
    [first, second],
    [
      { allowed: 2, refused: 2 },
      { allowed: 0, refused: 1 },
    ],
  );
});

t.test('listen() puts the rule in force before anybody can connect', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const { server } = await listen((_req, res) => void res.end('hello'), { path, authorize: { uids: [other] } });
  t.teardown(() => server.close());
  t.equal(await attempt(path), '');
  await t.rejects(
    listen(() => {}, { path, authorize: {} }),
    { code: 'LISTENFDS_BAD_OPTION' },
  );
});

const createServers = {
  net: `net.createServer((socket) => socket.on('data', () => socket.end('served')))`,
  http: `http.createServer((req, res) => res.end('served'))`,
  https: `https.createServer(files, (req, res) => res.end('served'))`,
  tls: `tls.createServer(files, (socket) => socket.end('served'))`,
  http2: `http2.createSecureServer({ ...files, allowHTTP1: true }, (req, res) => res.end('served'))`,
};

/** A program that serves on a path by a rule; it prints its refusals. */
async function program(t: Test, kind: keyof typeof createServers, path: string, rule: string, files: object = {}) {
  const started = activateModule(
    t,
    `import { subscribe } from 'node:diagnostics_channel';
    import net from 'node:net';
    import tls from 'node:tls';
    import http from 'node:http';
    import https from 'node:https';
    import http2 from 'node:http2';
        import { authorize, listen } from 'listenfds';
    const files = ${JSON.stringify(files)};
    subscribe('listenfds:refused', ({ reason, credentials }) => console.log(JSON.stringify({ reason, credentials })));
    const server = ${createServers[kind]};
    authorize(server, ${rule});
    await listen(server, { path: ${JSON.stringify(path)}, mode: 0o666 });
    console.log('ready');`,
  );
  await started.line();
  return started;
}

async function stop(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  // A signal is delivered when the process is next scheduled.
  while (!isStopped(pid)) await new Promise((resolve) => setImmediate(resolve));
}

t.test(
  'of two users one is served, the other refused without a byte read, by every kind of server',
  { skip: withoutOtherUsers() || without('openssl') },
  async (t) => {
    const folder = openFolder(t);
    const { key, cert } = makeCertificate(folder);
    const files = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
    await Promise.all(
      Object.keys(createServers).map(async (key) => {
        const kind = key as keyof typeof createServers;
        const path = join(folder, kind);
        const server = await program(t, kind, path, '{ uids: [12345] }', files);
        const sent = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
        // Both have sent their request by the time the server accepts. Closing a unix socket with unread bytes in it
        // resets the connection; closing one that was read to the end does not: unix(7).
        await stop(server.pid);
        const allowed = connectAs(t, { uid: 12_345, gid: 1 }, path, { sent });
        const refused = connectAs(t, { uid: 54_321, gid: 1 }, path, { sent });
        const [, { pid }] = await Promise.all([allowed.connected(), refused.connected()]);
        process.kill(server.pid, 'SIGCONT');
        t.equal(await refused.received(), 'ECONNRESET', `${kind}: nothing was read`);
        t.match(await server.json(), {
          reason: `authorize: uid 54321, gid 1 (pid ${pid}) is not allowed`,
          credentials: { uid: 54_321, gid: 1, groups: [], pid },
        });
        const received = await allowed.received();
        // To a TLS server, the request is garbage; it has read it, and says so or closes.
        if (kind === 'net' || kind === 'http') t.match(received, /served$/, `${kind}: served`);
        else t.not(received, 'ECONNRESET', `${kind}: read`);
      }),
    );
  },
);

t.test(
  'no system call reads from a refused connection',
  { skip: withoutOtherUsers() || without('strace') },
  async (t) => {
    const folder = openFolder(t);
    const path = join(folder, 's');
    const server = await program(t, 'http', path, '{ uids: [12345] }');
    const log = join(folder, 'calls');
    const strace = spawn('strace', ['-f', '-o', log, '-p', String(server.pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const detached = once(strace, 'close');
    let said = '';
    for await (const text of strace.stderr) if (/attached/.test((said += text))) break;
    if (!/attached/.test(said)) return void t.comment(`strace cannot attach: ${said}`);
    t.equal((await connectAs(t, { uid: 54_321, gid: 1 }, path).program.line()) !== '', true);
    await server.json();
    t.ok((await connectAs(t, { uid: 12_345, gid: 1 }, path, { sent: 'GET / HTTP/1.0\r\n\r\n' }).program.line()) !== '');
    await server.kill();
    await detached;
    // From the accept4 that gave a number to the close of that number.
    const calls = readFileSync(log, 'utf8').split('\n');
    const first = calls.findIndex((call) => /accept4\(\d+, .*= \d+$/.test(call));
    const fd = /= (\d+)$/.exec(calls[first]!)![1]!;
    const touching = calls
      .slice(first + 1, calls.findIndex((call, i) => i > first && call.includes(` close(${fd})`)) + 1)
      .map((call) => new RegExp(`\\s(\\w+)\\(${fd}[,)]`).exec(call)?.[1])
      .filter((name) => name !== undefined);
    t.ok(touching.includes('getsockopt'), 'its credentials were asked for');
    t.equal(touching.at(-1), 'close');
    t.strictSame(
      touching.filter((name) => /^(read|recv|write|send)/.test(name)),
      [],
      'it was neither read nor written',
    );
  },
);

t.test('groups count as the kernel recorded them, not as they are now', { skip: withoutOtherUsers() }, async (t) => {
  const folder = openFolder(t);
  const path = join(folder, 's');
  const server = await program(t, 'net', path, '{ gids: [100001] }');
  const many = Array.from({ length: 40 }, (_, i) => 99_980 + i);
  const cases: [string, Ids, readonly number[] | undefined, string][] = [
    ['primary group', { uid: 65_534, gid: 100_001 }, undefined, 'served'],
    ['supplementary group', { uid: 65_534, gid: 1, groups: [100_000, 100_001] }, undefined, 'served'],
    ['one of more than 32', { uid: 65_534, gid: 1, groups: many }, undefined, 'served'],
    ['another group', { uid: 65_534, gid: 1, groups: [100_000] }, undefined, 'ECONNRESET'],
    ['left the group after connecting', { uid: 0, gid: 0, groups: [100_001] }, [], 'served'],
    ['joined the group after connecting', { uid: 0, gid: 0 }, [100_001], 'ECONNRESET'],
  ];
  await stop(server.pid);
  const clients = cases.map(([, ids, groupsAfter]) => connectAs(t, ids, path, groupsAfter ? { groupsAfter } : {}));
  await Promise.all(clients.map((client) => client.connected()));
  process.kill(server.pid, 'SIGCONT');
  for (const [i, [name, , , expected]] of cases.entries()) t.equal(await clients[i]!.received(), expected, name);
});

t.test('10,000 connections, allowed and refused, leave no descriptor behind', async (t) => {
  const server = createServer((socket) => socket.end());
  let turn = 0;
  const authorization = authorize(server, () => ++turn % 2 === 0);
  const path = await serving(t, server);
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  await attempt(path);
  const before = descriptors();
  for (let round = 0; round < 100; round++) await Promise.all(Array.from({ length: 100 }, () => attempt(path)));
  t.equal(authorization.allowed + authorization.refused, 10_001);
  const connections = (): Promise<number> =>
    new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count))));
  while ((await connections()) > 0) await new Promise((resolve) => setImmediate(resolve));
  t.equal(descriptors(), before);
});

t.test('maxConnectionsPerSource counts the connections of one user', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const { server } = await listen(createServer(), { path, maxConnectionsPerSource: 1 });
  t.teardown(() => server.close());
  const messages = refusals(t, server);
  const first = connect(path);
  await once(first, 'connect');
  t.equal(await attempt(path), '');
  t.match(messages, [{ reason: `maxConnectionsPerSource: uid ${uid} has 1 connections` }]);
  first.destroy();
});

t.test('a sequential packet server has the same gate', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const { server } = await listenSequentialPacket(path);
  t.teardown(() => server.close());
  const authorization = authorize(server, { uids: [uid] });
  const messages = refusals(t, server);
  server.on('connection', (socket) => {
    t.match(peerCredentials(socket), { uid, gid, pid: process.pid });
    socket.end('hello');
  });
  const { socket: allowed } = await connectSequentialPacket(path);
  t.match(peerCredentials(allowed), { uid, gid, pid: process.pid });
  t.equal(String((await once(allowed, 'data'))[0]), 'hello');
  allowed.destroy();
  if (!allowed.closed) await once(allowed, 'close');
  t.throws(() => peerCredentials(allowed), { code: 'EBADF' });

  authorization.change({ uids: [other] });
  const { socket: refused } = await connectSequentialPacket(path);
  const failed = new Promise((resolve) => refused.once('error', resolve));
  refused.write('never read');
  refused.resume();
  t.match(await failed, { code: 'ECONNRESET' });
  t.match(messages, [{ reason: /is not allowed$/, credentials: { uid } }]);
  t.match(authorization, { allowed: 1, refused: 1 });
});

t.test('datagrams pass by the credentials that came with them, and others are closed', async (t) => {
  const socket = new EventEmitter();
  const messages = refusals(t, socket);
  const authorization = authorizeDatagrams(socket, { uids: [5], groups: ['daemon'] });
  const received: string[] = [];
  socket.on('message', (data: Buffer) => void received.push(data.toString()));
  const file = join(temporaryFolder(t), 'file');
  writeFileSync(file, '');
  const kept = openSync(file, 'r');
  const dropped = openSync(file, 'r');
  const send = (data: string, info: object): boolean => socket.emit('message', Buffer.from(data), info);
  send('user', { credentials: { pid: 1, uid: 5, gid: 9 }, fds: [kept] });
  send('group', { credentials: { pid: 1, uid: 6, gid: 1 } });
  send('stranger', { credentials: { pid: 1, uid: 6, gid: 9 }, fds: [dropped] });
  send('anonymous', {});
  socket.emit('message', Buffer.from('nothing'));
  t.strictSame(received, ['user', 'group']);
  t.match(authorization, { allowed: 2, refused: 3 });
  t.match(messages, [
    { reason: 'authorize: uid 6, gid 9 (pid 1) is not allowed', socket: null, credentials: { uid: 6 } },
    { reason: /no credentials/, credentials: null },
    { reason: /no credentials/ },
  ]);
  t.ok(fstatSync(kept).isFile());
  closeSync(kept);
  // Its close may stand still, and so is not in the event loop.
  for (let open = true; open;) {
    await new Promise((resolve) => setImmediate(resolve));
    open = readdirSync('/proc/self/fd').includes(String(dropped));
  }
  t.ok(socket.emit('message', Buffer.from('x'), {}), 'emit() says as if somebody had listened');
  t.notOk(socket.emit('other'), 'other events are left alone');
});

t.test('the credentials a function gets are those of peerCredentials()', async (t) => {
  let given: PeerCredentials | undefined;
  let asked: PeerCredentials | undefined;
  const server = createServer((socket) => {
    asked = peerCredentials(socket);
    socket.end();
  });
  authorize(server, (credentials) => {
    given = credentials;
    return true;
  });
  await attempt(await serving(t, server));
  t.ok(given);
  t.strictSame(given, asked);
});

t.test(
  'a unix datagram socket drops what others than those allowed send',
  { skip: withoutOtherUsers() || without('logger') },
  async (t) => {
    const path = join(openFolder(t), 's');
    const { socket } = await listenDatagram({ path, passCredentials: true, mode: 0o666 });
    t.teardown(() => socket.close());
    const authorization = authorizeDatagrams(socket, { uids: [12_345], gids: [54_321] });
    const messages = refusals(t, socket);
    const received: string[] = [];
    socket.on('message', (data: Buffer) => void received.push(data.toString().split(' ').at(-1)!.trim()));
    const send = (ids: Ids, word: string): void => {
      const [command, ...args] = [...as(ids), 'logger', '--socket', path, '--socket-errors=on', word];
      execFileSync(command!, args);
    };
    send({ uid: 12_345, gid: 1 }, 'user');
    send({ uid: 1, gid: 1, groups: [54_321] }, 'supplementary');
    send({ uid: 1, gid: 54_321 }, 'group');
    while (received.length < 2) await once(socket, 'message');
    t.strictSame(received, ['user', 'group']);
    t.match(messages, [{ reason: /uid 1, gid 1/, socket: null, credentials: { uid: 1, gid: 1 } }]);
    t.match(authorization, { allowed: 2, refused: 1 });
  },
);

t.test('examples/authorized.js is what docs/credentials.md says', { skip: withoutOtherUsers() }, async (t) => {
  const path = join(openFolder(t), 's');
  const example = activate(t, [process.execPath, 'examples/authorized.js', path, 'daemon']);
  t.equal(await example.line(), `listening on ${path}`);
  const sent = 'GET / HTTP/1.0\r\n\r\n';
  const daemon = connectAs(t, { uid: 65_534, gid: 7, groups: [1, 8] }, path, { sent });
  await daemon.connected();
  t.match(await daemon.received(), /user 65534, group 7, also in 1 8\n$/);
  const stranger = connectAs(t, { uid: 65_534, gid: 7 }, path, { sent });
  await stranger.connected();
  t.notMatch(await stranger.received(), /user/);
  if (!example.stderr.includes('\n')) await once(example.child.stderr!, 'data');
  t.match(example.stderr, /^authorize: uid 65534, gid 7 \(pid \d+\) is not allowed\n$/);
});
