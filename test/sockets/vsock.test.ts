// vsock(7) between a virtual machine and its host. Whether a connection can be made at all depends on the machine: without
// the loopback transport (modprobe vsock_loopback) only listening can be tested.
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { activateModule, resultOf } from '../support/activate.ts';
import { unless } from '../support/tools.ts';

const python = (script: string): boolean => spawnSync('python3', ['-c', `import socket\n${script}`]).status === 0;
const hasVsock = python('socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)');
const hasLoopback = python(`
s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
s.bind((1, socket.VMADDR_PORT_ANY)); s.listen()
c = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM); c.settimeout(1)
c.connect((1, s.getsockname()[1]))`);

const program = `
  import http from 'node:http';
    import { listen } from 'listenfds';
  const app = (request, response) => response.end('over ' + request.socket.remoteAddress);
  const report = (value) => console.log(JSON.stringify(value));`;

t.test('without vsock in the kernel that is what the error says', async (t) => {
  const source = `${program}
    const attempt = (address) => listen(app, address).then(() => report('listens'), ({ code }) => report(code));
    await attempt('vsock::71234');
    process.exit();`;
  t.equal(await resultOf(t, source), hasVsock ? 'listens' : 'LISTENFDS_UNSUPPORTED');
});

t.test('an address of our own, taken, and given back', { skip: unless(hasVsock, 'needs vsock') }, async (t) => {
  const source = `${program}
    const { server, address, source, url } = await listen(app, 'vsock::0');
    report({ address, source, url, listening: server.listening, of: server.address() });
    await listen(app, address).catch(({ code }) => report(code));
    server.close(() => report({ listening: server.listening, address: server.address() }));
    const again = await listen(http.createServer(app), address);
    again.server.close();
    process.on('exit', () => report('exit'));`;
  const run = activateModule(t, source);
  const first = await run.json();
  t.match(first, { source: 'bound', url: null, listening: true, of: first.address });
  t.match(first.address, /^vsock::[1-9][0-9]*$/);
  t.equal(await run.json(), 'EADDRINUSE');
  t.same(await run.json(), { listening: false, address: null });
  t.equal(await run.json(), 'exit');
});

t.test('an inherited vsock listener is adopted', { skip: unless(hasVsock, 'needs vsock') }, async (t) => {
  const source = `${program}
    const { server, address, source, name } = await listen(app, 'vsock::75432');
    report({ address, source, name });
    server.close();`;
  const run = activateModule(t, source, { fds: ['vsock(75432)'], names: ['machine'] });
  t.same(await run.json(), { address: 'vsock::75432', source: 'inherited', name: 'machine' });
  t.equal((await run.ended).code, 0);
});

t.test(
  'requests over vsock are answered',
  { skip: hasLoopback ? false : 'needs the vsock loopback transport' },
  async (t) => {
    const source = `${program}
    const { address } = await listen(app, 'vsock:1:0');
    report(address);`;
    const address = await activateModule(t, source).json<string>();
    const client = spawnSync('python3', [
      '-c',
      `
import socket
s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
s.connect((1, ${address.split(':')[2]}))
s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
while part := s.recv(4096): print(part.decode())`,
    ]);
    t.match(String(client.stdout), 'over vsock:1:');
  },
);
