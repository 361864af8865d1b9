// One server on several listeners: all that were passed, and the ReusePort= sockets of one address; and one listener for
// several servers, one after another.
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { activate, activateModule, resultOf, root, type Test } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { without } from '../support/tools.ts';

const skip = without('python3');

/** Programs that call start() with an app, and print where it listens. */
const apps: Readonly<Record<string, string>> = {
  'a function': `start((request, response) => response.end('hello'));`,
  'an http server': `
    import { createServer } from 'node:http';
    start(createServer((request, response) => response.end('hello')));`,
  express: `
    import express from 'express';
    start(express().get('/', (request, response) => response.send('hello')));`,
  fastify: `
    import fastify from 'fastify';
    const app = fastify();
    app.get('/', () => 'hello');
    start(app);`,
  koa: `
    import Koa from 'koa';
    start(new Koa().use((context) => (context.body = 'hello')));`,
  hapi: `
    import Hapi from '@hapi/hapi';
    const app = Hapi.server();
    app.route({ method: 'GET', path: '/', handler: () => 'hello' });
    start(app);`,
};

const starter = (verb: string, target: string): string => `
  import { listen, serve } from 'listenfds';
  async function start(app) {
    const found = await ${verb}(app, ${target});
    const { address, others } = found.listening ? found.listening[0] : found;
    console.log(JSON.stringify([address, ...others.map(({ address }) => address)]));
  }`;

type Place = { port: number; address: string } | string;

const ask = (place: Place): Promise<string> =>
  get(typeof place === 'string' ? { socketPath: place } : { host: place.address, port: place.port });

for (const [what, source] of Object.entries(apps)) {
  t.test(`${what} on IPv4, IPv6 and a unix socket at once`, { skip }, async (t) => {
    const path = join(temporaryFolder(t), 's');
    const fds = ['tcp("127.0.0.1")', 'tcp("::1", 0, 128, 1)', `unix("${path}")`];
    const program = activateModule(t, `${starter('serve', `{ inherited: 'all' }`)}${source}`, { fds });
    const places = (await program.json()) as Place[];
    t.equal(places.length, 3);
    for (const place of places) t.equal(await ask(place), 'hello', JSON.stringify(place));
    program.child.kill('SIGTERM');
    const { code, stderr } = await program.ended;
    t.same([code, stderr], [0, '']);
  });
}

t.test('a server that is listed twice is refused, with the option that does it', { skip }, async (t) => {
  for (const app of ['createServer()', 'fastify()']) {
    const run = { fds: ['tcp()', 'tcp()'], names: ['a', 'b'] };
    const told = await resultOf(
      t,
      `import { createServer } from 'node:http';
       import fastify from 'fastify';
       import { serve } from 'listenfds';
       const app = ${app};
       const error = await serve([{ app, name: 'a' }, { app, name: 'b' }]).catch((error) => error);
       console.log(JSON.stringify({ code: error.code, message: error.message }));
       process.exit();`,
      run,
    );
    t.match(told, { code: 'LISTENFDS_BAD_OPTION', message: /inherited: 'all'/ });
  }
});

t.test('a request in flight on any of them is answered at the stop', { skip }, async (t) => {
  const path = join(temporaryFolder(t), 's');
  const source = `${starter('serve', `{ inherited: 'all' }`)}
    start((request, response) => { console.log('null'); setTimeout(() => response.end('hello'), 500); });`;
  const program = activateModule(t, source, { fds: ['tcp("127.0.0.1")', `unix("${path}")`] });
  const places = (await program.json()) as Place[];
  const answers = places.map(ask);
  await program.json();
  await program.json();
  program.child.kill('SIGTERM');
  t.same(await Promise.all(answers), ['hello', 'hello']);
  t.equal((await program.ended).code, 0);
});

t.test('with a name, only those of that name; without a match of the address, a warning', { skip }, async (t) => {
  const source = (target: string): string => `
    import { listen } from 'listenfds';
    const warnings = [];
    process.on('warning', ({ code }) => warnings.push(code));
    const { others, name } = await listen((request, response) => response.end(), ${target});
    setImmediate(() => { console.log(JSON.stringify([name, others.length, warnings])); process.exit(); });`;
  const passed = { fds: ['tcp()', 'tcp()', 'tcp()'], names: ['web', 'admin', 'web'] };
  t.same(await resultOf(t, source(`{ inherited: 'all', name: 'web', port: 1 }`), passed), ['web', 1, []]);
  t.same(await resultOf(t, source(`{ inherited: 'all', port: 1 }`), passed), [
    'web',
    2,
    ['LISTENFDS_ADDRESS_MISMATCH'],
  ]);
});

/** How many of so many connections, each of its own, are answered. */
async function answered(port: number, count: number): Promise<number> {
  const one = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1');
      const late = setTimeout(() => socket.destroy(), 5000);
      socket.once('data', () => (resolve(true), socket.destroy()));
      socket.once('close', () => (clearTimeout(late), resolve(false)));
      socket.on('error', () => {});
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    });
  return (await Promise.all(Array.from({ length: count }, one))).filter(Boolean).length;
}

/** The ReusePort= listeners of one address, as a unit with ListenStream= twice passes them. */
const twins = (port: number): string[] => Array.from({ length: 3 }, () => `tcp("127.0.0.1", ${port}, 128, 0, 1)`);

const unmodified = join(root, 'test/fixtures/unmodified.cjs');
const register = join(root, 'dist/register.js');

t.test('every ReusePort= socket of an address is accepted from', { skip }, async (t) => {
  const run = {
    'listen()': (t: Test, port: number) =>
      activateModule(t, `${starter('listen', String(port))}${apps['a function']}`, { fds: twins(port) }),
    'serve() without an address': (t: Test, port: number) =>
      activateModule(t, `${starter('serve', '{}')}${apps['a function']}`, { fds: twins(port) }),
    'the preload': (t: Test, port: number) =>
      activate(t, [process.execPath, '--import', register, unmodified, 'listen', `[${port}]`], { fds: twins(port) }),
  };
  for (const [what, start] of Object.entries(run)) {
    const port = await freePort();
    const program = start(t, port);
    await program.json();
    t.equal(await answered(port, 40), 40, what);
    t.equal(program.stderr, '', what);
    await program.kill();
  }
});

t.test('a listener that was closed is free for the next server', { skip }, async (t) => {
  const path = join(temporaryFolder(t), 's');
  for (const fd of ['tcp("127.0.0.1")', `unix("${path}")`]) {
    const source = `
      import { listen, serve } from 'listenfds';
      import { connect } from 'node:net';
      import { once } from 'node:events';
      const answers = [];
      const ask = async (address) => {
        const socket = typeof address === 'string' ? connect(address) : connect(address.port, address.address);
        socket.write('GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n');
        let text = '';
        for await (const chunk of socket) text += chunk;
        return text.split('\\r\\n\\r\\n')[1].replaceAll(/[^a-z]/g, '');
      };
      for (const name of ['a', 'b']) {
        const { server, address, source } = await listen((request, response) => response.end(name));
        answers.push([source, await ask(address)]);
        server.close();
        if (name === 'b') await once(server, 'close');
      }
      const service = await serve((request, response) => response.end('c'), { exit: false });
      answers.push([service.listening[0].source, await ask(service.listening[0].address)]);
      await service.close();
      const { address, source } = await listen((request, response) => response.end('d'));
      answers.push([source, await ask(address)]);
      console.log(JSON.stringify(answers));
      process.exit();`;
    t.same(await resultOf(t, source, { fds: [fd] }), [
      ['inherited', 'a'],
      ['inherited', 'b'],
      ['inherited', 'c'],
      ['inherited', 'd'],
    ]);
  }
});

t.test('a number that was passed as an argument is taken, once', { skip }, async (t) => {
  const source = (fd: string): string => `
    import { describe, listen } from 'listenfds';
    const found = [];
    for (let i = 0; i < 2; i++) {
      try {
        const { source, origin } = await listen((request, response) => response.end(), { fd: ${fd} });
        found.push([source, origin, describe(3).cloexec]);
      } catch ({ code }) {
        found.push(code);
      }
    }
    console.log(JSON.stringify(found));
    process.exit();`;
  const passed = (fd: string): object => ({ fds: [fd], count: null });
  t.same(await resultOf(t, source('3'), passed('tcp()')), [['inherited', 'manager', true], 'LISTENFDS_TAKEN']);
  t.equal((await resultOf(t, source('3'), passed('udp()')))[0], 'LISTENFDS_WRONG_KIND');
  t.equal((await resultOf(t, source('99'), passed('tcp()')))[0], 'LISTENFDS_NOT_OPEN');
  t.equal((await resultOf(t, source(`3, name: 'x'`), passed('tcp()')))[0], 'LISTENFDS_BAD_OPTION');
  t.equal((await resultOf(t, source('1'), passed('tcp()')))[0], 'LISTENFDS_BAD_OPTION');
});
