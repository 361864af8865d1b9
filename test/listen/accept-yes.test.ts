// Accept=yes: the manager accepts, and starts one process a connection. systemd.socket(5)
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { activate, activateModule, resultOf } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { freePort } from '../support/port.ts';
import { without } from '../support/tools.ts';

/** A connection, its near end to be passed on. */
async function connection(t: Tap): Promise<{ client: Socket; fd: number; port: number }> {
  const listener = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  const [accepted] = (await once(listener, 'connection')) as [Socket & { _handle: { fd: number } }];
  t.teardown(() => [client.destroy(), accepted.destroy(), listener.close()]);
  return { client, fd: accepted._handle.fd, port };
}

interface Tap {
  teardown(action: () => unknown): unknown;
}

const http = (call: string): string => `
  import http from 'node:http';
    import { listen, serve } from 'listenfds';
  const app = (request, response) => response.end('for ' + request.socket.remotePort);
  process.on('exit', (code) => console.log(JSON.stringify({ exit: code })));
  const result = await ${call};
  const { source, name, remote, address, url } = result.listening?.[0] ?? result;
  console.log(JSON.stringify({ source, name, remote, address, url }));`;

async function get(client: Socket, keepAlive: boolean): Promise<string> {
  client.write(`GET / HTTP/1.1\r\nHost: x\r\nConnection: ${keepAlive ? 'keep-alive' : 'close'}\r\n\r\n`);
  const [answer] = await once(client.setEncoding('utf8'), 'data');
  return answer as string;
}

for (const call of ['listen(app, 80)', "serve(http.createServer(app), { name: 'connection' })"]) {
  t.test(`${call} serves the connection, request after request, and ends with it`, async (t) => {
    const { client, fd, port } = await connection(t);
    const program = activateModule(t, http(call), {
      fds: [fd],
      names: ['connection'],
      env: { REMOTE_ADDR: '127.0.0.1', REMOTE_PORT: `${client.localPort}` },
    });
    const listening = await program.json();
    t.match(listening, { source: 'inherited', name: 'connection', url: null });
    t.match(listening, { remote: { address: '127.0.0.1', port: client.localPort }, address: { port } });
    t.match(await get(client, true), `for ${client.localPort}`);
    t.match(await get(client, true), `for ${client.localPort}`);
    client.end();
    t.same(await program.json(), { exit: 0 });
    t.equal((await program.ended).code, 0);
  });
}

t.test('the port decides whether it is the connection that was meant, the host does not', async (t) => {
  const mismatches = async (target: (port: number) => string): Promise<string[]> => {
    const { client, fd, port } = await connection(t);
    client.end();
    const source = `
            import { listen } from 'listenfds';
      import net from 'node:net';
      const codes = [];
      process.on('warning', ({ code }) => codes.push(code));
      process.on('exit', () => console.log(JSON.stringify(codes)));
      await listen(net.createServer((socket) => socket.resume()), ${target(port)});`;
    return resultOf(t, source, { fds: [fd], names: ['connection'] });
  };
  t.same(await mismatches((port) => `'0.0.0.0:${port}'`), []);
  t.same(await mismatches((port) => `${port}`), []);
  t.same(await mismatches(() => `1`), ['LISTENFDS_ADDRESS_MISMATCH']);
});

t.test('a connection handler that comes after listen() still gets it', async (t) => {
  const { client, fd } = await connection(t);
  const source = `
        import { listen } from 'listenfds';
    import net from 'node:net';
    const { server } = await listen(net.createServer());
    server.on('connection', (socket) => socket.end('hello'));`;
  const program = activateModule(t, source, { fds: [fd], names: ['connection'] });
  t.equal(await text(client), 'hello');
  client.end();
  t.equal((await program.ended).code, 0);
});

t.test('a listener is preferred, and a stored connection is not mistaken', async (t) => {
  const source = `
        import { listen } from 'listenfds';
    import net from 'node:net';
    const result = await listen(net.createServer(), 0);
    console.log(JSON.stringify([result.source, result.remote]));
    process.exit();`;
  t.same(await resultOf(t, source, { fds: ['accepted()', 'tcp()'], names: ['stored', 'web'] }), ['inherited', null]);
  t.same(await resultOf(t, source, { fds: ['accepted()', 'accepted()'], names: ['a', 'b'] }), ['bound', null]);
});

t.test('a connection on stdin is served only when asked for', async (t) => {
  const source = (options: string): string => `
    import fs from 'node:fs';
    import http from 'node:http';
        import { listen } from 'listenfds';
    const out = fs.readlinkSync('/proc/self/fd/2');
    const { source, server } = await listen((request, response) => {
      console.log('log line');
      response.end('inetd ' + (fs.readlinkSync('/proc/self/fd/1') === out));
    }, ${options});
    if (source === 'bound') { console.error('bound'); process.exit(); }`;
  const { client, fd } = await connection(t);
  // As inetd does it, standard output is the connection as well.
  const shell = ['sh', '-c', 'exec 1>&0; exec "$@"', 'sh'];
  const command = (options: string): string[] => [
    ...shell,
    process.execPath,
    '--input-type=module',
    '-e',
    source(options),
  ];
  const program = activate(t, command('{ inetd: true }'), { stdin: fd });
  const answer = await get(client, false);
  t.match(answer, 'inetd true');
  t.notMatch(answer, 'log line');
  t.match((await program.ended).stderr, 'log line');

  const other = await connection(t);
  const unasked = activate(t, command('{ port: 0 }'), { stdin: other.fd });
  t.match((await unasked.ended).stderr, 'bound');
});

t.test(
  'each connection of systemd-socket-activate --accept is served by a process of its own',
  { skip: without('systemd-socket-activate') },
  async (t) => {
    const port = await freePort();
    const command = [process.execPath, '--input-type=module', '-e', http('listen(app, 80)')];
    const manager = activate(t, ['systemd-socket-activate', '-a', '-l', `127.0.0.1:${port}`, ...command]);
    while (!manager.stderr.includes('Listening on')) await once(manager.child.stderr!, 'data');
    for (let i = 0; i < 2; i++) {
      const client = connect(port, '127.0.0.1');
      const answer = get(client, false);
      t.match(await manager.json(), { source: 'inherited', remote: { address: '127.0.0.1', port: client.localPort } });
      t.match(await answer, `for ${client.localPort}`);
      t.same(await manager.json(), { exit: 0 });
      client.destroy();
    }
  },
);

t.test('a passed unix connection is served', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const listener = createServer({ pauseOnConnect: true }).listen(path);
  await once(listener, 'listening');
  const client = connect(path);
  const [accepted] = (await once(listener, 'connection')) as [Socket & { _handle: { fd: number } }];
  t.teardown(() => [client.destroy(), accepted.destroy(), listener.close()]);
  const program = activateModule(t, http(`listen(app, '${path}')`), { fds: [accepted._handle.fd] });
  t.match(await program.json(), { source: 'inherited', name: 'unknown', address: path, remote: { address: null } });
  t.match(await get(client, false), 'HTTP/1.1 200');
  t.same(await program.json(), { exit: 0 });
});
