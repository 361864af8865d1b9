// A server that accepts without listen(2), as in a sandbox that forbids it, heeds unref(), the signal of its listen()
// and its own options as Node's does.
import t from 'tap';
import { insides, resultOf } from '../support/activate.ts';

const program = (body: string): string => `
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { listenFds } from 'listenfds';
import { acceptInherited } from ${JSON.stringify(insides)};
const [inherited] = listenFds();
const server = createServer();
let closed = 0;
server.on('close', () => (closed += 1));
const controller = new AbortController();
const listen = () => acceptInherited(server, { inherited, fd: inherited.fd, giveBack() {} }, null, controller.signal);
${body}`;

t.test('an abort closes it, once', async (t) => {
  const closed = await resultOf(
    t,
    program(`listen();
await once(server, 'listening');
controller.abort();
await once(server, 'close');
for (let i = 0; i < 3; i++) await turn();
console.log(closed);`),
    { fds: ['tcp()'] },
  );
  t.equal(closed, 1);
});

t.test('one that came before it closes it as well', async (t) => {
  const source = program(`controller.abort();
listen();
await once(server, 'close');
console.log(JSON.stringify([server.listening, closed]));`);
  t.same(await resultOf(t, source, { fds: ['tcp()'] }), [false, 1]);
});

t.test('one that comes when it has closed is none of what listens then', async (t) => {
  const source = program(`listen();
await once(server, 'listening');
server.close();
await once(server, 'close');
server.listen(0, '127.0.0.1');
await once(server, 'listening');
controller.abort();
await turn();
console.log(server.listening);
server.close();`);
  t.equal(await resultOf(t, source, { fds: ['tcp()'] }), true);
});

t.test('it does not keep the process if unref() was called before', async (t) => {
  const source = program(`server.unref();
listen();
await once(server, 'listening');
console.log(true);`);
  t.equal(await resultOf(t, source, { fds: ['tcp()'] }), true);
});

t.test('the options of a server hold as for connections that Node accepts', async (t) => {
  const told = await resultOf(
    t,
    `
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { BlockList, connect, createServer } from 'node:net';
import { listenFds } from 'listenfds';
import { acceptInherited } from ${JSON.stringify(insides)};
const blockList = new BlockList();
blockList.addAddress('127.0.0.2');
const options = { keepAlive: true, keepAliveInitialDelay: 77_000, noDelay: true, highWaterMark: 1234, pauseOnConnect: true, blockList };
async function behaves(listen) {
  const server = createServer(options);
  server.maxConnections = 1;
  listen(server);
  await once(server, 'listening');
  const { port } = server.address();
  const calls = [];
  let dropped;
  server.on('drop', (data) => (dropped = data));
  const join = (localAddress) => connect({ port, host: '127.0.0.1', localAddress });
  const first = join();
  const [socket] = await once(server, 'connection');
  const timers = execFileSync('ss', ['-tnHo', 'sport = :' + port], { encoding: 'utf8' });
  const second = join().resume();
  await once(second, 'close');
  server.maxConnections = 2;
  // Not every Node.js has that option.
  if (server.blockList) await once(join('127.0.0.2').resume().on('error', () => {}), 'close');
  const told = {
    keepAlive: /keepalive,1min1[0-9]sec/.test(timers),
    marks: [socket.readableHighWaterMark, socket.writableHighWaterMark],
    paused: socket.isPaused() || socket.readableFlowing === false,
    dropped: dropped.remotePort === second.localPort || Object.keys(dropped).sort(),
    count: server._connections,
  };
  socket.destroy();
  first.destroy();
  server.close();
  return told;
}
const [inherited] = listenFds();
console.log(JSON.stringify([
  await behaves((server) => server.listen(0, '127.0.0.1')),
  await behaves((server) => acceptInherited(server, { inherited, fd: inherited.fd, giveBack() {} })),
]));`,
    { fds: ['tcp()'] },
  );
  const [own, inherited] = told;
  t.match(own, { keepAlive: true, marks: [1234, 1234], paused: true, count: 1 });
  t.same(inherited, own);
});
