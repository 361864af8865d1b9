import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { createServer as createHttpServer, get, type IncomingMessage } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import t from 'tap';
import { describe, peerCredentials } from 'listenfds';
import { listenDatagram, type UnixDatagram } from 'listenfds/sockets';
import { connectAs, withoutOtherUsers } from '../support/as.ts';
import { makeCertificate } from '../support/certificate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { without } from '../support/tools.ts';

const own = { pid: process.pid, uid: process.geteuid!(), gid: process.getegid!() };
// process.getgroups() adds the effective group; the kernel does not.
const ownGroups = (/^Groups:[ \t]*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '')
  .split(' ')
  .filter((word) => word !== '')
  .map(Number);

interface Test {
  teardown(action: () => unknown): unknown;
}

async function listening<S extends Server>(t: Test, server: S, path: string): Promise<S> {
  server.listen(path);
  t.teardown(() => server.close());
  await once(server, 'listening');
  return server;
}

async function connected(t: Test, path: string, server: Server): Promise<[client: Socket, accepted: Socket]> {
  const accepting = once(server, 'connection') as Promise<[Socket]>;
  const client = connect(path);
  t.teardown(() => client.destroy());
  const [accepted] = await accepting;
  t.teardown(() => accepted.destroy());
  return [client, accepted];
}

t.test('both ends of a connection know who is on the other, from any form of it', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const server = await listening(t, createServer(), path);
  const [client, accepted] = await connected(t, path, server);
  const { fd } = (accepted as unknown as { _handle: { fd: number } })._handle;
  const expected = { ...own, groups: ownGroups };
  for (const source of [accepted, client, fd, { fd }, { socket: accepted }]) {
    const { label, ...rest } = peerCredentials(source);
    t.strictSame(rest, expected);
    t.ok(label === null || (label.length > 0 && !label.includes('\0')));
  }
});

t.test('an http request and a connection with TLS over a unix socket', { skip: without('openssl') }, async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'http');
  const http = await listening(t, createHttpServer(), path);
  http.on('request', (request: IncomingMessage, response) => {
    t.match(peerCredentials(request), own);
    t.match(peerCredentials(request.socket), own);
    response.end();
  });
  const [response] = (await once(get({ socketPath: path, agent: false }), 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');

  const tlsPath = join(folder, 'tls');
  const { key, cert } = makeCertificate(folder);
  const tls = await listening(t, createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }), tlsPath);
  const secured = once(tls, 'secureConnection') as Promise<[TLSSocket]>;
  const client = connectTls({ path: tlsPath, rejectUnauthorized: false });
  const [socket] = await secured;
  t.match(peerCredentials(socket), own);
  t.match(peerCredentials(client), own);
  client.destroy();
  socket.destroy();
});

t.test('ids and groups are those of the process that connected', { skip: withoutOtherUsers() }, async (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  const path = join(folder, 's');
  const server = createServer({ pauseOnConnect: true });
  server.listen({ path, writableAll: true });
  t.teardown(() => server.close());
  // 32 fit into the first buffer.
  for (const count of [0, 1, 32, 33, 400]) {
    const groups = Array.from({ length: count }, (_, i) => 100_000 + i);
    const accepting = once(server, 'connection') as Promise<[Socket]>;
    const { connected } = connectAs(t, { uid: 65_534, gid: 1, groups }, path);
    const [socket] = await accepting;
    const { pid } = await connected();
    t.match(peerCredentials(socket), { pid, uid: 65_534, gid: 1 });
    t.strictSame(peerCredentials(socket).groups, groups, `${count} supplementary groups`);
    socket.destroy();
  }
});

t.test('they stay what they were at the time of connecting', { skip: withoutOtherUsers() }, async (t) => {
  const path = join(temporaryFolder(t), 's');
  const server = createServer({ pauseOnConnect: true });
  server.listen(path);
  t.teardown(() => server.close());
  const accepting = once(server, 'connection') as Promise<[Socket]>;
  const client = connectAs(t, { uid: 0, gid: 0, groups: [100_001] }, path, { groupsAfter: [100_002] });
  const [socket] = await accepting;
  t.strictSame((await client.connected()).groups, [100_002, 0]);
  t.strictSame(peerCredentials(socket).groups, [100_001]);
  await client.program.kill();
  t.strictSame(peerCredentials(socket).groups, [100_001], 'also when it is gone');
  socket.destroy();
});

t.test('who connected is told, not who writes on a connection that was handed on', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const server = await listening(t, createServer(), path);
  const accepting = once(server, 'connection') as Promise<[Socket]>;
  // The process that connects gives the connection to another and stays until that has written.
  const source = `
    const client = require('node:net').connect(${JSON.stringify(path)}, () => {
      const child = require('node:child_process').spawn('sh', ['-c', 'echo $$ >&3'], { stdio: ['ignore', 'ignore', 'inherit', client] });
      child.on('exit', () => process.stdin.resume());
    });`;
  const program = spawn(process.execPath, ['--eval', source], { stdio: ['pipe', 'inherit', 'inherit'] });
  t.teardown(() => program.kill());
  const [socket] = await accepting;
  t.teardown(() => socket.destroy());
  const [line] = await once(socket.setEncoding('utf8'), 'data');
  t.not(Number(line), program.pid, 'another process has written');
  t.equal(peerCredentials(socket).pid, program.pid);
});

t.test('a pidfd is opened only when asked for, and stands for the process when its pid is free again', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const server = await listening(t, createServer({ pauseOnConnect: true }), path);
  const accepting = once(server, 'connection') as Promise<[Socket]>;
  const source = `require('node:net').connect(${JSON.stringify(path)})`;
  const child = spawn(process.execPath, ['--eval', source], { env: {}, stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  const [socket] = await accepting;
  t.teardown(() => socket.destroy());

  t.notOk('pidfd' in peerCredentials(socket));
  const { pid, pidfd } = peerCredentials(socket, { pidfd: true });
  t.equal(pid, child.pid);
  if (pidfd === null) return void t.comment('this kernel has no SO_PEERPIDFD');
  t.teardown(() => closeSync(pidfd));
  const pidOf = (): string => /^Pid:\s*(-?\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${pidfd}`, 'utf8'))![1]!;
  t.equal(pidOf(), String(child.pid));
  t.ok(describe(pidfd).cloexec);
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.equal(pidOf(), '-1');
  t.equal(peerCredentials(socket).pid, child.pid, 'the number alone tells nothing');
  const late = peerCredentials(socket, { pidfd: true }).pidfd;
  t.ok(late === null || typeof late === 'number', 'whether a late one is still made depends on the kernel');
  if (late !== null) closeSync(late);
});

t.test('what has no peer, or none that the kernel knows, is an error that says so', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  const server = await listening(t, createServer(), path);
  const [, accepted] = await connected(t, path, server);
  const tcp = createServer().listen(0, '127.0.0.1');
  t.teardown(() => tcp.close());
  await once(tcp, 'listening');
  const overTcp = connect(tcp.address() as { port: number });
  t.teardown(() => overTcp.destroy());
  await once(overTcp, 'connect');
  const file = openSync(folder, 'r');
  t.teardown(() => closeSync(file));

  t.throws(() => peerCredentials(overTcp), {
    code: 'LISTENFDS_NOT_UNIX',
    message: /is not a unix socket.*listen on a path/s,
  });
  const { fd } = (tcp as unknown as { _handle: { fd: number } })._handle;
  t.throws(() => peerCredentials(fd), { code: 'LISTENFDS_NOT_UNIX' }, 'a TCP listener');
  t.throws(() => peerCredentials(file), { code: 'LISTENFDS_NOT_UNIX', fd: file });
  t.throws(() => peerCredentials(server as never), { code: 'ENOTCONN' }, 'a unix listener: not its own credentials');
  const socket = (await listenDatagram({ path: join(folder, 'a'), activation: 'never' })).socket as UnixDatagram;
  const { socket: other } = await listenDatagram({ path: join(folder, 'b'), activation: 'never' });
  t.teardown(() => [socket, other].forEach((one) => one.close()));
  await new Promise<void>((resolve) => socket.connect(join(folder, 'b'), resolve));
  t.throws(() => peerCredentials(socket as never), { code: 'ENODATA' }, 'a datagram socket that was connected');
  accepted.destroy();
  t.throws(() => peerCredentials(accepted), { code: 'EBADF', syscall: 'getsockopt' });
  t.throws(() => peerCredentials(9_999), { code: 'EBADF' });
  for (const wrong of [null, undefined, '3', {}, { socket: 3 }, -1, 1.5]) {
    t.throws(() => peerCredentials(wrong as never), { code: 'LISTENFDS_BAD_OPTION' }, String(JSON.stringify(wrong)));
  }
  t.throws(() => peerCredentials({ socket: null } as never), { code: 'EBADF' }, 'a request whose connection is gone');
});

t.test('asking leaves no descriptor behind', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const server = await listening(t, createServer(), path);
  const [client] = await connected(t, path, server);
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  for (let i = 0; i < 10_000; i++) {
    peerCredentials(client);
    const { pidfd } = peerCredentials(client, { pidfd: true });
    if (typeof pidfd === 'number') closeSync(pidfd);
  }
  t.equal(descriptors(), before);
});
