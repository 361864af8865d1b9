// allow, deny and maxConnectionsPerSource: who is turned away before a byte is read, who is not, and what is said about it.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { BlockList, connect, createServer, type AddressInfo, type NetConnectOpts, type Socket } from 'node:net';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { listen, type ListenTarget, type RefusedMessage } from 'listenfds';
import { connectSequentialPacket, listenSequentialPacket } from 'listenfds/sockets';
import { activate, activateModule } from '../support/activate.ts';
import { as, withoutOtherUsers } from '../support/as.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';
import { without } from '../support/tools.ts';

/** A server that greets, and why it has turned somebody away. */
async function greeter(t: Test, target: ListenTarget): Promise<{ port: number; refused: string[] }> {
  const { server } = await listen(
    createServer((socket) => socket.end('hello')),
    target,
  );
  const refused: string[] = [];
  const note = (message: unknown): void => {
    const { server: where, reason } = message as RefusedMessage;
    if (where === server) refused.push(reason);
  };
  subscribe('listenfds:refused', note);
  t.teardown(() => {
    unsubscribe('listenfds:refused', note);
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, refused };
}

/** What somebody hears who connects; nothing when it is turned away. */
async function heard(options: NetConnectOpts): Promise<string> {
  const socket = connect(options);
  return text(socket).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ECONNRESET') throw error;
    return '';
  });
}

const from = (localAddress: string, port: number): Promise<string> => heard({ host: '127.0.0.1', port, localAddress });

t.test('deny keeps addresses and networks out', async (t) => {
  const { port, refused } = await greeter(t, { host: '127.0.0.1', port: 0, deny: ['127.0.0.2', '127.0.0.128/25'] });
  t.equal(await from('127.0.0.2', port), '');
  t.equal(await from('127.0.0.1', port), 'hello');
  t.equal(await from('127.0.0.200', port), '');
  t.equal(await from('127.0.0.127', port), 'hello');
  t.same(refused, ['deny: 127.0.0.2', 'deny: 127.0.0.200']);
});

t.test('allow lets nobody else in, and deny wins', async (t) => {
  const lists = { allow: ['127.0.0.0/28'], deny: ['127.0.0.3'] };
  const { port, refused } = await greeter(t, { host: '127.0.0.1', port: 0, ...lists });
  t.equal(await from('127.0.0.1', port), 'hello');
  t.equal(await from('127.0.0.3', port), '');
  t.equal(await from('127.0.0.16', port), '');
  t.same(refused, ['deny: 127.0.0.3', 'allow: 127.0.0.16 is not in it']);
});

t.test('a BlockList does as well, also one that changes', async (t) => {
  const deny = new BlockList();
  const { port } = await greeter(t, { host: '127.0.0.1', port: 0, deny });
  t.equal(await from('127.0.0.2', port), 'hello');
  deny.addRange('127.0.0.2', '127.0.0.4');
  t.equal(await from('127.0.0.2', port), '');
  t.equal(await from('127.0.0.5', port), 'hello');
});

t.test('on a socket for both families an IPv4 address is an IPv4 address', async (t) => {
  const { port, refused } = await greeter(t, { host: '::', port: 0, allow: ['127.0.0.1', '::1'] });
  t.equal(await from('127.0.0.1', port), 'hello');
  t.equal(await from('127.0.0.2', port), '');
  t.equal(await heard({ host: '::1', port }), 'hello');
  t.same(refused, ['allow: 127.0.0.2 is not in it']);
  const six = await greeter(t, { host: '::', port: 0, deny: ['::1'] });
  t.equal(await heard({ host: '::1', port: six.port }), '');
  t.equal(await from('127.0.0.1', six.port), 'hello');
});

t.test('unix sockets have no addresses: the lists are not about them', async (t) => {
  const path = join(temporaryFolder(t), 's');
  await greeter(t, { path, allow: ['10.0.0.0/8'] });
  t.equal(await heard({ path }), 'hello');
});

t.test('maxConnectionsPerSource counts those of one address, and forgets those that have gone', async (t) => {
  const greeter = createServer((socket) => socket.resume());
  const { server } = await listen(greeter, { host: '127.0.0.1', port: 0, maxConnectionsPerSource: 2 });
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const open = (localAddress: string): Socket => {
    const socket = connect({ host: '127.0.0.1', port, localAddress })
      .on('error', () => {})
      .resume();
    t.teardown(() => socket.destroy());
    return socket;
  };
  /** Whether the server has it. */
  const isIn = async (socket: Socket): Promise<boolean> => {
    const accepted = once(server, 'connection').then(() => true);
    const closed = once(socket, 'close').then(() => false);
    return Promise.race([accepted, closed]);
  };
  const first = open('127.0.0.2');
  t.ok(await isIn(first));
  t.ok(await isIn(open('127.0.0.2')));
  t.notOk(await isIn(open('127.0.0.2')), 'the third is turned away');
  t.ok(await isIn(open('127.0.0.3')), 'another address is another source');
  const left = new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
  t.equal(await left, 3);
  first.destroy();
  for (let count = 3; count > 2;) {
    await new Promise((resolve) => setImmediate(resolve));
    count = await new Promise<number>((resolve) => server.getConnections((_, found) => resolve(found)));
  }
  t.ok(await isIn(open('127.0.0.2')), 'there is room again');
});

// The kernel has forgotten who it was, and still gives out what it sent.
const resetting = `
import socket, struct, sys
for i in range(int(sys.argv[2])):
    client = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
    client.sendall(b'POST /admin HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 2\\r\\n\\r\\nhi')
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    client.close()
`;

const strict = {
  allow: { allow: ['10.9.9.9'] },
  deny: { deny: ['127.0.0.0/8'] },
  maxConnectionsPerSource: { maxConnectionsPerSource: 1 },
};

t.test('a client that resets before it is accepted is refused', { skip: without('python3') }, async (t) => {
  const tries = 40;
  for (const [option, target] of Object.entries(strict)) {
    const { fd, port } = await held(t);
    await activate(t, ['python3', '-c', resetting, String(port), String(tries)]).ended;
    const program = activateModule(
      t,
      `import http from 'node:http';
      import { subscribe } from 'node:diagnostics_channel';
      import { listen } from 'listenfds';
      let handled = 0;
      const reasons = [];
      const done = () => {
        if (handled + reasons.length < ${tries}) return;
        console.log(JSON.stringify({ handled, reasons }));
        process.exit();
      };
      subscribe('listenfds:refused', ({ reason }) => setImmediate(done, reasons.push(reason)));
      const server = http.createServer(() => done(handled++));
      await listen(server, { port: ${port}, host: '127.0.0.1', ...${JSON.stringify(target)} });`,
      { fds: [fd] },
    );
    const { handled, reasons } = await program.json<{ handled: number; reasons: string[] }>();
    t.equal(handled, 0, option);
    t.strictSame(
      reasons.filter((reason) => reason !== `${option}: where it comes from is not known`),
      [],
    );
    await program.ended;
  }
});

t.test('without these options such a request is handled, from nowhere', { skip: without('python3') }, async (t) => {
  const tries = 10;
  const { fd, port } = await held(t);
  await activate(t, ['python3', '-c', resetting, String(port), String(tries)]).ended;
  const program = activateModule(
    t,
    `import http from 'node:http';
    import { listen } from 'listenfds';
    const from = [];
    const server = http.createServer(({ socket }) => {
      from.push(String(socket.remoteAddress));
      if (from.length < ${tries}) return;
      console.log(JSON.stringify(from));
      process.exit();
    });
    await listen(server, { port: ${port}, host: '127.0.0.1' });`,
    { fds: [fd] },
  );
  t.strictSame(await program.json(), Array(tries).fill('undefined'));
});

t.test('1,000 that reset while an idle server runs are refused', { skip: without('python3') }, async (t) => {
  let admitted = 0;
  const { server } = await listen(
    createServer(() => (admitted += 1)),
    { host: '127.0.0.1', port: 0, allow: ['10.9.9.9'], deny: ['127.0.0.0/8'] },
  );
  t.teardown(() => server.close());
  let refused = 0;
  const note = (message: unknown): void => void (refused += Number((message as RefusedMessage).server === server));
  subscribe('listenfds:refused', note);
  t.teardown(() => unsubscribe('listenfds:refused', note));
  const { port } = server.address() as AddressInfo;
  await activate(t, ['python3', '-c', resetting, String(port), '1000']).ended;
  while (admitted + refused < 1000) await new Promise((resolve) => setImmediate(resolve));
  t.equal(admitted, 0);
});

// A client binds to a name of its choice before it connects, which is no address.
const named = `
import os, socket, sys
os.chdir(sys.argv[2])
clients = []
for i in range(20):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.bind(f'127.0.0.{i}' if i % 2 else f'\\0{os.getpid()}-{i}')
    client.connect(sys.argv[1])
    clients.append(client)
held = 0
for client in clients:
    try: held += client.recv(9) == b'hello'
    except ConnectionResetError: pass
print(held)
`;

t.test('users count over sequential packets, whatever name they bind', { skip: withoutOtherUsers() }, async (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o777);
  const path = join(folder, 's');
  const { server } = await listenSequentialPacket({ path, mode: 0o666, maxConnectionsPerSource: 2 });
  server.on('connection', (socket) => socket.on('error', () => {}).write('hello'));
  t.teardown(() => server.close());
  const through = as({ uid: 1234, gid: 1234 });
  const env = { PATH: '/usr/bin:/bin' }; // another user may not enter where this one has its python3
  const other = activate(t, ['python3', '-c', named, path, folder], { through, env });
  const { socket: mine } = await connectSequentialPacket(path);
  t.teardown(() => mine.destroy());
  t.equal(String((await once(mine, 'data'))[0]), 'hello', 'another user is another source');
  t.equal(await other.line(), '2');
});

t.test('a network may be as small as one address, and no smaller', async (t) => {
  const { port } = await greeter(t, { host: '127.0.0.1', port: 0, allow: ['127.0.0.5/32', '::1/128'] });
  t.equal(await from('127.0.0.5', port), 'hello');
  t.equal(await from('127.0.0.4', port), '');
  for (const network of ['127.0.0.5/33', '::1/129', '127.0.0.5/128']) {
    await t.rejects(listen(createServer(), { port: 0, allow: [network] }), { code: 'LISTENFDS_BAD_OPTION' }, network);
  }
});
