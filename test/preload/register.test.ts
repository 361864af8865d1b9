// The preload: what a program that knows nothing of it does with the sockets it was passed.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, activateModule, root, type Activated, type Activation } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';
import { get } from '../support/http.js';
import { load } from '../support/load.ts';
import { freePort } from '../support/port.ts';
import { tcpQueue } from '../support/queues.ts';
import { receive } from '../support/receiver.ts';
import { without } from '../support/tools.ts';

const register = join(root, 'dist/register.js');
const program = join(root, 'test/fixtures/unmodified.cjs');

/** Starts the program with the preload. */
function start(t: Test, steps: readonly string[], activation: Activation = {}): Activated {
  return activate(t, [process.execPath, '--import', register, program, ...steps], activation);
}

t.jobs = 4;

t.test('the socket at the address asked for is taken, without a word', async (t) => {
  const { fd, port } = await held(t);
  const running = start(t, ['listen', `[${port}]`], { fds: [fd] });
  t.match(await running.json(), { address: '127.0.0.1', port });
  t.equal(await running.json(), 'done');
  t.equal(await get(port), 'hello');
  t.equal(running.stderr, '');
});

t.test('the only one left is taken with a warning that says both addresses', async (t) => {
  const { fd, port } = await held(t);
  const running = start(t, ['listen', '[3000]'], { fds: [fd], names: ['web'] });
  t.match(await running.json(), { port });
  t.equal(await get(port), 'hello');
  await running.kill('SIGTERM');
  t.match(running.stderr, /LISTENFDS_ADDRESS_MISMATCH.* listens on 3000 .*'web'.* bound to 127\.0\.0\.1:/);
});

t.test('LISTENFDS_MISMATCH decides how loudly', async (t) => {
  for (const [value, expected, stderr] of [
    ['ignore', { address: '127.0.0.1' }, /^$/],
    ['error', { code: 'LISTENFDS_ADDRESS_MISMATCH' }, /^$/],
  ] as const) {
    const running = start(t, ['listen', '[3000]'], { fds: ['tcp()'], env: { LISTENFDS_MISMATCH: value } });
    t.match(await running.json(), expected);
    await running.kill();
    t.match(running.stderr, stderr);
  }
  const refused = await start(t, [], { fds: ['tcp()'], env: { LISTENFDS_MISMATCH: 'loud' } }).ended;
  t.match(refused.stderr, /LISTENFDS_BAD_ENVIRONMENT/);
});

t.test('several are told apart by address, by a name that is the port, by order', async (t) => {
  const [one, two] = [await held(t), await held(t)];
  const byAddress = start(t, ['listen', `[${two.port}]`, 'listen', `[${one.port}]`], { fds: [one.fd, two.fd] });
  t.match(await byAddress.json(), { port: two.port });
  t.match(await byAddress.json(), { port: one.port });
  await byAddress.kill();
  t.equal(byAddress.stderr, '');

  const byName = start(t, ['listen', '[3001]', 'listen', '[3000]'], { fds: [one.fd, two.fd], names: ['3000', '3001'] });
  t.match(await byName.json(), { port: two.port });
  t.match(await byName.json(), { port: one.port });
  await byName.kill();
  t.equal(byName.stderr, '');

  const byOrder = start(t, ['listen', '[3000]', 'listen', '[3001]'], { fds: [one.fd, two.fd] });
  t.match(await byOrder.json(), { port: one.port });
  t.match(await byOrder.json(), { port: two.port });
  await byOrder.kill();
  t.equal(byOrder.stderr.match(/LISTENFDS_ADDRESS_MISMATCH/g)?.length, 2);
});

t.test('what is the program’s own business is bound as before', async (t) => {
  const folder = temporaryFolder(t);
  const { fd, port } = await held(t);
  const taken = await freePort();
  const own = join(folder, 'own.sock');
  const steps = ['listen', '[0]', 'listen', `["${own}"]`, 'listen', `[${taken}, "127.0.0.1"]`, 'listen', `[${port}]`];
  // A socket that all the world reaches is nothing for a server of this machine alone.
  const running = start(t, steps, { fds: [fd, 'tcp("0.0.0.0")'] });
  const [any, path, loopback, passed] = [
    await running.json(),
    await running.json(),
    await running.json(),
    await running.json(),
  ];
  t.notMatch(any, { port });
  t.equal(path, own);
  t.match(loopback, { address: '127.0.0.1' });
  t.match(passed, {});
});

// The last two are names until they are resolved, which takes longer than listen() has.
const loopback = [
  '127.0.0.1',
  '127.255.0.1',
  '::1',
  '0:0:0:0:0:0:0:1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  'localhost',
  'LOCALHOST',
  'localhost.',
  'ip6-localhost',
  '127.1',
];

t.test('a loopback server never gets a socket of another port that others reach', async (t) => {
  const steps = [];
  for (const host of loopback) steps.push('listen', JSON.stringify([await freePort(), host]));
  for (const passed of ['tcp("0.0.0.0")', 'tcp("::")', 'tcp("0.0.0.0"), tcp("::")']) {
    const running = start(t, [...steps, 'listen', '[3000]'], { fds: passed.split(', ') });
    for (const host of loopback) {
      const bound = await running.json<{ address?: string; code?: string }>();
      // A name may be unknown here; then nothing is listened on.
      t.match(bound.address ?? bound.code, /^(127\.|::1$|::ffff:127\.|E)/, `${host} beside ${passed}`);
    }
    t.match(await running.json(), { address: passed.includes('0.0.0.0') ? '0.0.0.0' : '::' });
    await running.kill();
  }
});

t.test('nor when it has had that socket before', async (t) => {
  const own = await freePort();
  const steps = ['probe', `[${own}]`, 'probe', `[${own}]`, 'listen', `[${own}, "127.0.0.1"]`];
  const running = start(t, steps, { fds: ['tcp("0.0.0.0")'] });
  t.match(await running.json(), { address: '127.0.0.1', port: own });
  t.equal(running.stderr.match(/LISTENFDS_ADDRESS_MISMATCH/g)?.length, 1);
});

// It could not bind the address it asks for: the unit has the port, and decides who reaches it.
t.test('of its own port a loopback server gets the wider socket, with a warning', async (t) => {
  for (const host of ['127.0.0.1', '::1', 'localhost', 'ip6-localhost']) {
    const { fd, port } = await held(t, host.includes(':') || host === 'ip6-localhost' ? '::' : '0.0.0.0');
    const steps = ['listen', JSON.stringify([port, host])];
    const running = start(t, steps, { fds: [fd] });
    t.match(await running.json(), { port, address: /^(0\.0\.0\.0|::)$/ }, host);
    await running.kill('SIGTERM');
    t.match(running.stderr, /LISTENFDS_ADDRESS_MISMATCH/, host);
    const strict = start(t, steps, { fds: [fd], env: { LISTENFDS_MISMATCH: 'error' } });
    t.match(await strict.json(), { code: 'LISTENFDS_ADDRESS_MISMATCH' }, host);
    await strict.kill();
  }
});

t.test('an inherited unix socket has its path, or the port that the program asked for', async (t) => {
  const path = join(temporaryFolder(t), 'app.sock');
  const asked = [
    ['[3000]', { address: '::', family: 'IPv6', port: 3000 }],
    ['[3000, "127.0.0.1"]', { address: '127.0.0.1', family: 'IPv4', port: 3000 }],
    ['[{ "port": "3000", "host": "localhost" }]', { address: '127.0.0.1', family: 'IPv4', port: 3000 }],
    [JSON.stringify([path]), path],
  ] as const;
  for (const [args, address] of asked) {
    const running = start(t, ['listen', args], { fds: [`unix("${path}")`] });
    t.same(await running.json(), address, args);
    t.equal(await get(path), 'hello');
    await running.kill();
    unlinkSync(path);
  }
});

t.test('a datagram socket of the right family is taken', async (t) => {
  const port = await freePort();
  const running = start(t, ['udp', String(port)], { fds: ['udp("::1")', `udp("127.0.0.1", ${port})`] });
  t.match(await running.json(), { address: '127.0.0.1', port });
  const client = createSocket('udp4');
  t.teardown(() => client.close());
  client.send('hello', port, '127.0.0.1');
  t.equal(String((await once(client, 'message'))[0]), 'hello');
});

t.test('a program may try its port, close it and listen again', async (t) => {
  const { fd, port } = await held(t);
  const steps = ['probe', '[3000]', 'probe', '[3000, "0.0.0.0"]', 'listen', '[3000]'];
  const running = start(t, steps, { fds: [fd] });
  t.match(await running.json(), { port });
  t.equal(await get(port), 'hello');
});

t.test('the backlog stays what the unit says', { skip: without('ss') }, async (t) => {
  const running = start(t, ['listen', '[3000, "0.0.0.0", 7]'], { fds: ['tcp("127.0.0.1", 0, 99)'] });
  const { port } = await running.json();
  t.equal(tcpQueue(port).backlog, 99);
});

t.test('a listening socket as standard input counts', async (t) => {
  const { fd, port } = await held(t);
  const running = start(t, ['listen', `[${port}]`, 'child'], { stdin: fd });
  t.match(await running.json(), { port });
  t.strictSame(await running.json(), { listening: [], stdin: '/dev/null' });
  t.equal(await get(port), 'hello');
});

t.test('through NODE_OPTIONS it acts once, and children see nothing', async (t) => {
  const { fd, port } = await held(t);
  const env = { NODE_OPTIONS: `--import=${register}` };
  const running = activate(t, [process.execPath, program, 'listen', `[${port}]`, 'child'], { fds: [fd], env });
  t.match(await running.json(), { port });
  t.match(await running.json(), { listening: [] });
  t.equal(await running.json(), 'done');
  await running.kill();
  t.equal(running.stderr, '');
});

t.test('it can be required as well', async (t) => {
  const { fd, port } = await held(t);
  // As the name resolves for require(), and both at once: it is put in place once.
  for (const how of [
    ['-r', register],
    ['-r', 'listenfds/register'],
    ['-r', 'listenfds/register', '--import', register],
  ]) {
    const running = activate(t, [process.execPath, ...how, program, 'listen', `[${port}]`], { fds: [fd] });
    t.match(await running.json(), { port });
    t.equal(await get(port), 'hello');
    await running.kill();
    t.equal(running.stderr, '');
  }
});

t.test('an ES module is served as well', async (t) => {
  const { fd, port } = await held(t);
  const source = `import { createServer } from 'node:http';
    const server = createServer((request, response) => response.end('module'));
    server.listen({ port: ${port}, host: 'localhost' }, () => console.log(JSON.stringify(server.address())));`;
  const running = activateModule(t, source, { fds: [fd], env: { NODE_OPTIONS: `--import=${register}` } });
  t.match(await running.json(), { port });
  t.equal(await get(port), 'module');
});

t.test('READY=1 is sent when all that was passed is listened on, and only then', async (t) => {
  const receiver = await receive(t);
  const [one, two] = [await held(t), await held(t)];
  const env = { NOTIFY_SOCKET: receiver.address };
  const steps = ['listen', `[${one.port}]`, 'probe', `[${two.port}]`, 'listen', '[0]', 'listen', `[${two.port}]`];
  const running = start(t, steps, { fds: [one.fd, two.fd], env });
  for (let i = 0; i < 3; i++) await running.json();
  t.match(await receiver.message(), { text: 'READY=1', pid: running.pid });
  running.child.kill('SIGTERM');
  t.match((await receiver.message()).text, /^STOPPING=1/);
  t.match(await running.ended, { code: 0, signal: null });
});

t.test('SIGTERM lets the request in flight end', async (t) => {
  const { fd, port } = await held(t);
  const running = start(t, ['signal-exit', 'listen', `[${port}]`], { fds: [fd] });
  await running.json();
  t.equal(await running.json(), 'done');
  const answer = get({ host: '127.0.0.1', port, path: '/slow?ms=300' });
  t.equal(await running.json(), 'slow');
  running.child.kill('SIGTERM');
  t.equal(await answer, 'slow');
  t.match(await running.ended, { code: 0, signal: null });
});

t.test('a SIGTERM handler of the program stays in charge, and without a server the signal ends it', async (t) => {
  const own = start(t, ['listen', '[3000]', 'sigterm'], { fds: ['tcp()'] });
  await own.json();
  t.equal(await own.json(), 'done');
  own.child.kill('SIGTERM');
  t.match(await own.json(), /^own handler/);
  t.match(await own.ended, { code: 3 });
  const idle = activateModule(t, 'setInterval(() => {}, 1000); console.log(1);', {
    fds: ['tcp()'],
    env: { NODE_OPTIONS: `--import=${register}` },
  });
  await idle.json();
  idle.child.kill('SIGTERM');
  t.match(await idle.ended, { signal: 'SIGTERM' });
});

t.test('LISTENFDS_DRAIN=first drains before the program’s own handler', async (t) => {
  const { fd, port } = await held(t);
  const steps = ['listen', `[${port}]`, 'sigterm'];
  const running = start(t, steps, { fds: [fd], env: { LISTENFDS_DRAIN: 'first' } });
  await running.json();
  t.equal(await running.json(), 'done');
  const answer = get({ host: '127.0.0.1', port, path: '/slow?ms=300' });
  t.equal(await running.json(), 'slow');
  running.child.kill('SIGTERM');
  t.equal(await answer, 'slow');
  t.equal(await running.json(), 'own handler, close() without error');
  t.match(await running.ended, { code: 3 });
  const bad = await start(t, [], { fds: [fd], env: { LISTENFDS_DRAIN: 'last' } }).ended;
  t.match(bad.stderr, /LISTENFDS_BAD_ENVIRONMENT/);
});

t.test('a restart under load loses nothing', async (t) => {
  const { fd, port } = await held(t);
  const first = start(t, ['listen', `[${port}]`], { fds: [fd] });
  await first.json();
  const clients = load({ port, expected: /^hello$/ });
  await clients.more(50);
  first.child.kill('SIGTERM');
  t.match(await first.ended, { code: 0 });
  const second = start(t, ['listen', `[${port}]`], { fds: [fd] });
  await second.json();
  await clients.more(50);
  await clients.stop();
  t.strictSame(clients.failures, []);
});

t.test('LISTENFDS_IDLE_TIMEOUT ends a program that has nothing to do', async (t) => {
  const receiver = await receive(t);
  const { fd, port } = await held(t);
  const env = { NOTIFY_SOCKET: receiver.address, LISTENFDS_IDLE_TIMEOUT: '2s', WATCHDOG_USEC: '600000' };
  const running = start(t, ['listen', `[${port}]`], { fds: [fd], env });
  await running.json();
  await new Promise((resolve) => setTimeout(resolve, 700));
  t.equal(await get(port), 'hello');
  const answered = performance.now();
  t.equal((await receiver.message()).text, 'READY=1');
  t.equal((await receiver.message()).text, 'WATCHDOG=1');
  t.match(await running.ended, { code: 0, signal: null });
  const waited = performance.now() - answered;
  t.ok(waited >= 1_500 && waited < 2_800, `at most a fifth late: ${waited} ms`);
  const bad = await start(t, [], { fds: [fd], env: { LISTENFDS_IDLE_TIMEOUT: 'soon' } }).ended;
  t.match(bad.stderr, /LISTENFDS_IDLE_TIMEOUT is "soon", but must be a time span with a unit/);
});

t.test('LISTENFDS=required refuses to bind, LISTENFDS=never to adopt', async (t) => {
  const required = await start(t, [], { env: { LISTENFDS: 'required' } }).ended;
  t.match(required, { code: 1, stderr: /LISTENFDS_NOT_ACTIVATED/ });
  const { fd, port } = await held(t);
  const never = start(t, ['listen', '[0]'], { fds: [fd], env: { LISTENFDS: 'never' } });
  t.notMatch(await never.json(), { port });
});

t.test('where nothing was passed, nothing is changed and nothing loaded', async (t) => {
  const source = `import { createServer, Server } from 'node:net';
    const kept = [/native code|listenInCluster/.test(String(Server.prototype.listen)), process.listenerCount('SIGTERM')];
    console.log(JSON.stringify([...kept, Symbol.for('listenfds') in globalThis]));`;
  for (const stdin of [null, 'connected()', 'unix_dgram()']) {
    const env = { NODE_OPTIONS: `--import=${register}`, LISTENFDS_IDLE_TIMEOUT: '1s' };
    const running = activateModule(t, source, { env, stdin });
    t.strictSame(await running.json(), [true, 0, false]);
  }
});

t.test('a program that uses the library finds everything as without the preload', async (t) => {
  const { fd, port } = await held(t);
  const source = `import { listen } from 'listenfds';
    const { source, address } = await listen((request, response) => response.end('hello'), 3000);
    const other = await listen((request, response) => response.end('other'), { port: 0, activation: 'never' });
    console.log(JSON.stringify({ source, address, other: other.source }));`;
  const running = activateModule(t, source, {
    fds: [fd, 'tcp()'],
    names: ['web', 'left'],
    env: { NODE_OPTIONS: `--import=${register}`, LISTENFDS: 'auto' },
  });
  const result = await running.ended.catch(() => null);
  t.match(result?.stderr, /LISTENFDS_AMBIGUOUS/);
  const one = activateModule(t, source, { fds: [fd], env: { NODE_OPTIONS: `--import=${register}` } });
  t.match(await one.json(), { source: 'inherited', address: { port }, other: 'bound' });
});
