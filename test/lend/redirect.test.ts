// The calls that the preload redirects keep what the program gave them, and give it what it expects.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, root, type Activated, type Activation } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';

const register = join(root, 'dist/register.cjs');

/** Runs a program of a few lines under the preload; `say` prints a value. */
function run(t: Test, source: string, activation: Activation, preload = true): Activated {
  const text = `const say = (value) => console.log(JSON.stringify(value));\n${source}`;
  const file = join(temporaryFolder(t), 'program.cjs');
  writeFileSync(file, text);
  return activate(t, [process.execPath, ...(preload ? ['--require', register] : []), file], activation);
}

t.jobs = 4;

t.test('a port that node:net refuses is refused, and takes no socket', async (t) => {
  const program = run(
    t,
    `const refused = [];
    for (const port of [65536, '65536', 99999, 1.5, Infinity, NaN, -1, '-1', '', ' ']) {
      try { require('node:net').createServer().listen({ port }).close(); refused.push(null); } catch (error) { refused.push(error.code); }
    }
    say(refused);
    const server = require('node:net').createServer().listen(' 0x7d0 ', () => { say(server.address()); server.close(); });`,
    { fds: ['tcp()'] },
  );
  t.strictSame(new Set(await program.json()), new Set(['ERR_SOCKET_BAD_PORT']));
  t.match(await program.json(), { address: '127.0.0.1' }, 'a port in another spelling is one');
});

t.test('of a port and a path node:net takes the port, and so does the preload', async (t) => {
  const path = join(temporaryFolder(t), 'app.sock');
  const program = run(
    t,
    `const server = require('node:net').createServer();
    server.listen({ port: undefined, path: '${path}' }, () => { say(server.address()); server.close(); });`,
    { fds: [`unix("${path}")`] },
  );
  t.match(await program.json(), { address: /^(::|0\.0\.0\.0)$/ }, 'a port that is undefined is any port');
});

t.test('the channel net.server.listen publishes what the program asked for', async (t) => {
  const { fd, port } = await held(t);
  const program = run(
    t,
    `require('node:diagnostics_channel').tracingChannel('net.server.listen').subscribe({
      asyncStart: ({ options: { host, port, exclusive } }) => say({ host, port, exclusive }),
    });
    const options = { host: '127.0.0.1', port: ${port}, exclusive: true };
    const server = require('node:net').createServer().listen(options, () => { say(server.address()); server.close(); });`,
    { fds: [fd] },
  );
  t.strictSame(await program.json(), { host: '127.0.0.1', port, exclusive: true });
  t.match(await program.json(), { port });
});

t.test('a listen() that throws gives its socket back', async (t) => {
  const { fd, port } = await held(t);
  const program = run(
    t,
    `const { createServer } = require('node:net');
    try { createServer().listen({ port: ${port}, signal: 'none' }); } catch (error) { say(error.code); }
    const server = createServer().listen(${port}, () => { say(server.address()); server.close(); });`,
    { fds: [fd] },
  );
  t.equal(await program.json(), 'ERR_INVALID_ARG_TYPE');
  t.match(await program.json(), { address: '127.0.0.1', port });
});

t.test('every redirected function has the name and the length of the one it stands for', async (t) => {
  const source = `
    const look = ({ name, length }) => [name, length];
    say([require('node:net').Server.prototype.listen, require('node:dgram').Socket.prototype.bind].map(look));`;
  const activation = { fds: ['tcp()', 'udp()'] };
  t.strictSame(await run(t, source, activation).json(), await run(t, source, activation, false).json());
});

t.test('a datagram socket that is closed at once is never listening', async (t) => {
  const program = run(
    t,
    `const socket = require('node:dgram').createSocket('udp4');
    for (const event of ['listening', 'close']) socket.on(event, () => say(event));
    socket.bind(5555, '127.0.0.1').close();
    process.on('exit', () => say('end'));`,
    { fds: ['udp()'] },
  );
  t.equal(await program.json(), 'close');
  t.equal(await program.json(), 'end');
});

t.test('a datagram socket keeps an emit() of its own', async (t) => {
  const program = run(
    t,
    `const socket = require('node:dgram').createSocket('udp4');
    const { emit } = socket;
    socket.emit = function (...args) { say(args[0]); return emit.apply(this, args); };
    socket.bind(5555, '127.0.0.1', () => socket.close());`,
    { fds: ['udp()'] },
  );
  const events = (await program.ended).stdout.trim().split('\n');
  t.ok(events.includes('"listening"') && events.includes('"close"'), events.join());
});

t.test('the primary of a cluster hears where its workers listen, as without the preload', async (t) => {
  const source = (target: string): string => `
    const cluster = require('node:cluster');
    if (process.env.POLICY === 'none') cluster.schedulingPolicy = cluster.SCHED_NONE;
    if (cluster.isPrimary) {
      cluster.fork();
      cluster.on('listening', (worker, { address, port, addressType, fd }) => {
        say({ address, port, addressType, fd });
        worker.process.kill('SIGKILL');
      });
    } else require('node:http').createServer().listen(${target});`;
  for (const policy of ['rr', 'none']) {
    for (const [host, address, addressType] of [
      ['127.0.0.1', '127.0.0.1', 4],
      ['::1', '::1', 6],
      ['::', null, 4],
    ] as const) {
      const { fd, port } = await held(t, host);
      const options: Activation = { fds: [fd], env: { POLICY: policy } };
      const program = run(t, source(address === null ? `${port}` : `${port}, '${host}'`), options);
      t.strictSame(await program.json(), { address, port, addressType }, `${policy}, ${host}`);
      await program.ended;
    }
  }
});

t.test('a handler that cleans up and sends itself SIGTERM again dies by it', async (t) => {
  for (const when of ['at once', 'later']) {
    const program = run(
      t,
      `const server = require('node:http').createServer().listen(3000, () => process.kill(process.pid, 'SIGTERM'));
      process.on('SIGTERM', function end() {
        const again = () => { process.off('SIGTERM', end); process.kill(process.pid, 'SIGTERM'); };
        ${when === 'later' ? 'server.close(again);' : 'again();'}
      });`,
      { fds: ['tcp()'] },
    );
    t.match(await program.ended, { code: null, signal: 'SIGTERM' }, when);
  }
});
