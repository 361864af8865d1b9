// The stop of a service under adverse circumstances: it ends by its deadline, and what one part does wrong is not the loss
// of another.
import { once } from 'node:events';
import { join } from 'node:path';
import { connect as connectHttp2 } from 'node:http2';
import t, { type Test } from 'tap';
import { activate, activateModule, type Activated, type Activation } from '../support/activate.ts';
import { get } from '../support/http.js';
import { installed } from '../support/programs.ts';
import { RawClient } from '../support/raw-client.ts';
import { receive } from '../support/receiver.ts';

t.jobs = 4;

/** Starts a module that prints its ports, one a line, when it serves. */
async function start(t: Test, source: string, activation: Activation = {}): Promise<Activated & { ports: number[] }> {
  const program = activateModule(
    t,
    `import { createServer } from 'node:http';
     import { serve } from 'listenfds';
     const say = (text) => process.stdout.write(text + '\\n');
     const slow = (ms = 600) => (request, response) => {
       say('got ' + request.url);
       setTimeout(() => response.end('answered'), ms);
     };
     const local = { port: 0, host: '127.0.0.1' };
     ${source}
     say('ports ' + JSON.stringify(services.flatMap(({ listening }) => listening.map(({ address }) => address.port))));`,
    activation,
  );
  for (;;) {
    const match = /^ports (.*)$/.exec(await program.line());
    if (match) return Object.assign(program, { ports: JSON.parse(match[1]!) as number[] });
  }
}

/** A line that gives a module the `require` of a project of test/programs. */
async function requireFrom(project: string): Promise<string> {
  const manifest = join(await installed(project), 'package.json');
  return `const require = (await import('node:module')).createRequire(${JSON.stringify(manifest)});`;
}

/** A request that is in flight, once the service says so. */
async function inFlight(
  program: Activated & { ports: number[] },
  port = 0,
  path = '/',
): Promise<{ answer: Promise<string> }> {
  const answer = get({ host: '127.0.0.1', port: program.ports[port]!, path }).catch(
    (error: NodeJS.ErrnoException) => `lost: ${error.code}`,
  );
  let line = '';
  while (!line.startsWith('got')) line = await program.line();
  return { answer };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

t.test('one stop that comes twice, as npm forwards it, loses nothing', async (t) => {
  const program = await start(t, `const services = [await serve(slow(), local)];`);
  const { answer } = await inFlight(program);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGTERM'] as const) {
    program.child.kill(signal);
    await sleep(4);
  }
  t.equal(await answer, 'answered');
  t.match(await program.ended, { code: 0, signal: null });
});

t.test('two services of one process end together, each with its stop hook', async (t) => {
  const program = await start(
    t,
    `const services = [
       await serve(slow(), { ...local, onStop: () => say('web has stopped') }),
       await serve((_, response) => response.end(), { ...local, onStop: () => say('admin has stopped') }),
     ];`,
  );
  const { answer } = await inFlight(program);
  program.child.kill('SIGTERM');
  t.equal(await answer, 'answered');
  t.match(await program.ended, { code: 0, stdout: /admin has stopped[^]*web has stopped/ });
});

t.test('an app whose close hook fails does not cost the request of another one', async (t) => {
  const program = await start(
    t,
    `import fastify from 'fastify';
     const failing = fastify();
     failing.addHook('onClose', async () => { throw new Error('cannot close'); });
     const apps = [{ app: failing, ...local }, { app: slow(), ...local }];
     const services = [await serve(apps, { onStop: () => say('stopped') })];`,
  );
  const { answer } = await inFlight(program, 1);
  program.child.kill('SIGTERM');
  t.equal(await answer, 'answered');
  t.match(await program.ended, { code: 1, stdout: /stopped/, stderr: /did not end cleanly: Error: cannot close/ });
});

t.test('a pre-close hook that fails does not end the wait for the close hooks', async (t) => {
  const program = await start(
    t,
    `import fastify from 'fastify';
     const app = fastify();
     app.addHook('preClose', async () => { throw new Error('cannot begin to close'); });
     app.addHook('onClose', async () => { await new Promise((resolve) => setTimeout(resolve, 300)); say('closed'); });
     const services = [await serve(app, { ...local, onStop: () => say('stopped') })];`,
  );
  program.child.kill('SIGTERM');
  t.match(await program.ended, { code: 1, stdout: /closed\nstopped/, stderr: /Error: cannot begin to close/ });
});

t.test(
  'hooks that never end hold the stop up to its deadline, and the manager is not kept waiting longer',
  async (t) => {
    const manager = await receive(t);
    const program = await start(
      t,
      `import fastify from 'fastify';
     const hanging = fastify();
     hanging.addHook('onClose', () => new Promise(() => setInterval(() => {}, 1000)));
     const services = [await serve(hanging, { ...local, drain: { timeout: 500 }, onStop: () => new Promise(() => {}) })];`,
      { env: { NOTIFY_SOCKET: manager.address } },
    );
    const started = performance.now();
    program.child.kill('SIGTERM');
    const { text: stopping } = await manager.until(/STOPPING/);
    const extended = Number(/EXTEND_TIMEOUT_USEC=(\d+)/.exec(stopping)?.[1]) / 1000;
    t.ok(extended > 500 && extended <= 2_500, `${extended} ms`);
    t.match(await program.ended, {
      code: 1,
      stderr: /The close hooks did not finish[^]*onStop did not finish|onStop did/,
    });
    t.ok(performance.now() - started < 4_000);
  },
);

t.test('an uncaught error while the service drains leaves the others their crashTimeout', async (t) => {
  const program = await start(
    t,
    `const services = [await serve((request, response) => {
       if (request.url === '/bug') setTimeout(() => { throw new Error('a bug'); }, 100);
       slow()(request, response);
     }, { ...local, onStop: ({ reason }) => say('stopped by ' + reason) })];`,
  );
  const { answer } = await inFlight(program);
  await inFlight(program, 0, '/bug');
  program.child.kill('SIGTERM');
  t.equal(await answer, 'answered');
  t.match(await program.ended, { code: 1, stdout: /stopped by SIGTERM/, stderr: /^Uncaught Error: a bug[^]*$/ });
});

t.test(
  'after an uncaught error a request that is on its way is answered, on a new and on a kept connection',
  async (t) => {
    const program = await start(
      t,
      `const app = createServer(slow(50)).on('connection', () => say('connected'));
     const services = [await serve(app, local)];
     services[0].signal.addEventListener('abort', () => say('stopping'));
     process.once('SIGUSR2', () => { throw new Error('a bug'); });`,
    );
    const connected = async (): Promise<RawClient> => {
      const client = new RawClient(program.ports[0]!);
      while ((await program.line()) !== 'connected');
      return client;
    };
    const kept = await connected();
    await kept.ask('/first', /answered/);
    const fresh = await connected();
    program.child.kill('SIGUSR2');
    while ((await program.line()) !== 'stopping');
    await sleep(150);
    for (const client of [kept, fresh]) client.text = '';
    for (const client of [kept, fresh]) client.send('/');
    await Promise.all([kept.ended, fresh.ended]);
    t.match(kept.text, /^HTTP\/1\.1 200[^]*answered/);
    t.match(fresh.text, /^HTTP\/1\.1 200[^]*answered/);
    t.match(await program.ended, { code: 1, stderr: /^Uncaught Error: a bug/ });
  },
);

t.test('after an uncaught error nobody is waited for who says nothing', async (t) => {
  const program = await start(
    t,
    `const services = [await serve(slow(0), local)];
     process.once('SIGUSR2', () => { throw new Error('a bug'); });`,
  );
  const kept = new RawClient(program.ports[0]!);
  await kept.ask('/', /answered/);
  const started = performance.now();
  program.child.kill('SIGUSR2');
  t.match(await program.ended, { code: 1 });
  t.ok(performance.now() - started < 1_500, 'less than crashTimeout');
});

t.test('a manager that does not read does not hold the stop up beyond its deadline', async (t) => {
  const manager = await receive(t);
  const program = await start(t, `const services = [await serve(slow(400), { ...local, drain: { timeout: 1000 } })];`, {
    env: { NOTIFY_SOCKET: manager.address },
  });
  await manager.until(/READY/);
  await manager.fill();
  const { answer } = await inFlight(program);
  const started = performance.now();
  program.child.kill('SIGTERM');
  t.equal(await answer, 'answered');
  t.match(await program.ended, { code: 0 });
  t.ok(performance.now() - started < 1_000, `${performance.now() - started} ms`);
});

t.test('the wall clock has no say in the deadline', async (t) => {
  const program = await start(
    t,
    `const { now } = Date;
     const services = [await serve(slow(100), {
       ...local,
       drain: { timeout: 800 },
       onStop: () => { Date.now = () => now() - 3600_000; return new Promise(() => {}); },
     })];`,
  );
  await inFlight(program);
  const started = performance.now();
  program.child.kill('SIGTERM');
  t.match(await program.ended, { code: 1, stderr: /onStop did not finish within/ });
  t.ok(performance.now() - started < 3_500);
});

t.test('with exit: false a stop that fails lets the process end, too', async (t) => {
  const program = await start(
    t,
    `const server = createServer();
     server.on('draining', () => { throw new Error('a bug'); });
     const services = [await serve(server, { ...local, exit: false })];`,
    { env: { NOTIFY_SOCKET: '/nonexistent' } },
  );
  program.child.kill('SIGTERM');
  t.match(await program.ended, { code: 0, stderr: /did not end cleanly: Error: a bug/ });
});

t.test('a second signal ends a service whose start hangs', async (t) => {
  const program = activateModule(
    t,
    `import fastify from 'fastify';
     import { serve } from 'listenfds';
     const hanging = fastify({ pluginTimeout: 0 });
     hanging.addHook('onReady', () => { console.log('starts'); return new Promise(() => setInterval(() => {}, 1000)); });
     await serve(hanging, { port: 0 });`,
  );
  t.equal(await program.line(), 'starts');
  program.child.kill('SIGTERM');
  await sleep(1_200);
  program.child.kill('SIGTERM');
  t.match(await program.ended, { signal: 'SIGTERM' });
});

t.test('one signal ends a service whose start hangs, after the time of a drain', async (t) => {
  const program = activateModule(
    t,
    `import fastify from 'fastify';
     import { serve } from 'listenfds';
     const hanging = fastify({ pluginTimeout: 0 });
     hanging.addHook('onReady', () => { console.log('starts'); return new Promise(() => setInterval(() => {}, 1000)); });
     await serve(hanging, { port: 0, drain: { timeout: 300 } });`,
  );
  t.equal(await program.line(), 'starts');
  program.child.kill('SIGTERM');
  t.match(await program.ended, { code: 1, stderr: /did not start, and ends because of SIGTERM/ });
});

t.test('an uncaught error ends a service whose start hangs, with status 1', async (t) => {
  const program = activateModule(
    t,
    `import fastify from 'fastify';
     import { serve } from 'listenfds';
     const hanging = fastify({ pluginTimeout: 0 });
     hanging.addHook('onReady', () => {
       setImmediate(() => { throw new Error('not this time'); });
       return new Promise(() => setInterval(() => {}, 1000));
     });
     await serve(hanging, { port: 0 });`,
  );
  t.match(await program.ended, { code: 1, stderr: /Uncaught Error: not this time/ });
});

for (const when of ['before', 'after'] as const) {
  t.test(
    `a handler that another module has put on SIGTERM ${when} serve() is called when all is drained`,
    async (t) => {
      const flush = `process.on('SIGTERM', () => sleep(50).then(() => { say('flushed'); process.exit(0); }));`;
      const program = await start(
        t,
        `import { setTimeout as sleep } from 'node:timers/promises';
       ${when === 'before' ? flush : ''}
       const services = [await serve(slow(), { ...local, onStop: () => say('stopped') })];
       ${when === 'after' ? flush : ''}`,
      );
      const { answer } = await inFlight(program);
      program.child.kill('SIGTERM');
      t.equal(await answer, 'answered');
      t.match(await program.ended, { code: 0, stdout: /stopped\nflushed\n$/ });
    },
  );
}

t.test('a handler that ends the process with the signal, as many do, ends it with status 0', async (t) => {
  const program = await start(
    t,
    `process.once('SIGTERM', () => { say('flushed'); process.kill(process.pid, 'SIGTERM'); });
     const services = [await serve(slow(), local)];`,
  );
  const { answer } = await inFlight(program);
  program.child.kill('SIGTERM');
  t.equal(await answer, 'answered');
  t.match(await program.ended, { code: 0, signal: null, stdout: /flushed/ });
});

t.test(
  'close hooks run when nothing is left but upgraded connections, and not while a request is in flight',
  async (t) => {
    const program = await start(
      t,
      `let upgraded;
     const server = createServer((request, response) => {
       say('got /');
       setTimeout(() => { say('answering'); response.end('answered'); }, 400);
     });
     server.on('upgrade', (request, socket) => {
       upgraded = socket;
       socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: test\\r\\n\\r\\n');
     });
     const nothing = () => {};
     const close = async () => { say('hook'); upgraded.destroy(); };
     const app = { server, ready: nothing, inject: nothing, listen: nothing, close };
     const services = [await serve(app, local)];`,
    );
    const client = new RawClient(program.ports[0]!);
    client.socket.write('GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n');
    await client.until(/101 Switching/);
    const { answer } = await inFlight(program);
    program.child.kill('SIGTERM');
    t.equal(await answer, 'answered');
    await client.ended;
    t.match(await program.ended, { code: 0, stdout: /answering\nhook\n/ });
  },
);

t.test('at a signal idle connections have more time than those of close()', async (t) => {
  const program = await start(t, `const services = [await serve((_, response) => response.end('answered'), local)];`);
  const client = new RawClient(program.ports[0]!);
  await client.ask('/', /answered/);
  program.child.kill('SIGTERM');
  await sleep(500);
  t.match(await client.ask('/', /answered/), /^Connection: close\r$/m);
  t.match(await program.ended, { code: 0 });
});

t.test('a handler that returns a promise is waited for until the deadline of the stop', async (t) => {
  const program = await start(
    t,
    `process.on('SIGTERM', async () => {
       await new Promise((resolve) => setTimeout(resolve, 1300));
       say('flushed');
     });
     const services = [await serve(slow(), local)];`,
  );
  program.child.kill('SIGTERM');
  t.match(await program.ended, { code: 0, signal: null, stdout: /flushed/ });
});

t.test('otherHandlers: together leaves handlers of others alone', async (t) => {
  const program = await start(
    t,
    `process.on('SIGTERM', () => { say('own handler'); process.exit(7); });
     const services = [await serve(slow(), { ...local, otherHandlers: 'together' })];`,
  );
  program.child.kill('SIGTERM');
  t.match(await program.ended, { code: 7, stdout: /own handler/ });
});

t.test('Nest’s shutdown hooks run when all is drained', async (t) => {
  const program = await start(
    t,
    `${await requireFrom('nest-12')}
     require('reflect-metadata');
     const { Module } = require('@nestjs/common');
     const { NestFactory } = require('@nestjs/core');
     class AppModule { onModuleDestroy() { say('module destroyed'); } }
     Module({})(AppModule);
     const app = await NestFactory.create(AppModule, { logger: false });
     app.use('/', slow());
     app.enableShutdownHooks();
     const services = [await serve(app, { ...local, onStop: () => say('stopped') })];`,
  );
  const { answer } = await inFlight(program);
  program.child.kill('SIGTERM');
  t.equal(await answer, 'answered');
  t.match(await program.ended, { code: 0, stdout: /stopped/ });
  t.equal((await program.ended).stdout.match(/module destroyed/g)?.length, 1);
});

t.test('Apollo’s own handler ends its server when all is drained', async (t) => {
  const program = await start(
    t,
    `${await requireFrom('more-frameworks')}
     const { ApolloServer } = require('@apollo/server');
     const { ApolloServerPluginDrainHttpServer } = require('@apollo/server/plugin/drainHttpServer');
     const server = createServer(slow());
     const stopped = { async serverWillStart() { return { async serverWillStop() { say('Apollo stops'); } }; } };
     const apollo = new ApolloServer({
       typeDefs: 'type Query { hello: String }',
       stopOnTerminationSignals: true,
       plugins: [ApolloServerPluginDrainHttpServer({ httpServer: server }), stopped],
     });
     await apollo.start();
     const services = [await serve(server, local)];`,
  );
  const { answer } = await inFlight(program);
  program.child.kill('SIGTERM');
  t.equal(await answer, 'answered');
  t.match(await program.ended, { code: 0, stdout: /Apollo stops/ });
});

t.test('background work is waited for, by idle exit and by a stop', async (t) => {
  const source = `const services = [await serve((request, response) => {
       response.end('queued');
       say('got it');
       void services[0].busy(new Promise((resolve) => setTimeout(resolve, 1500))).then(() => say('done'));
     }, { ...local, idleTimeout: '1s' })];`;
  const [idle, stopped] = [
    await start(t, source.replace('...local, ', ''), { fds: ['tcp()'] }),
    await start(t, source),
  ];
  for (const program of [idle, stopped]) t.equal(await get(program.ports[0]!), 'queued');
  t.equal(await stopped.line(), 'got it');
  stopped.child.kill('SIGTERM');
  for (const program of [idle, stopped]) t.match(await program.ended, { code: 0, stdout: /done\n$/ });
});

t.test('idle exit comes at most a fifth late', async (t) => {
  const program = await start(
    t,
    `const services = [await serve((_, response) => { response.end('x'); say('got'); }, { idleTimeout: '2s' })];`,
    { fds: ['tcp()'] },
  );
  await sleep(700);
  const client = new RawClient(program.ports[0]!);
  await client.ask('/', /x$/);
  const answered = performance.now();
  client.socket.destroy();
  t.match(await program.ended, { code: 0 });
  const waited = performance.now() - answered;
  t.ok(waited >= 1_500 && waited < 2_800, `${waited} ms`);
});

t.test('PINGs of an HTTP/2 client do not hold off idle exit', async (t) => {
  const program = await start(
    t,
    `import { createServer as createHttp2Server } from 'node:http2';
     const server = createHttp2Server((_, response) => response.end('x'));
     const services = [await serve(server, { idleTimeout: '1s' })];`,
    { fds: ['tcp()'] },
  );
  const session = connectHttp2(`http://127.0.0.1:${program.ports[0]}`).on('error', () => {});
  await once(session, 'remoteSettings');
  let pings = 0;
  const pinging = setInterval(() => !session.closed && session.ping((error) => (pings += error ? 0 : 1)), 20);
  const ended = await program.ended;
  clearInterval(pinging);
  session.destroy();
  t.match(ended, { code: 0 });
  t.ok(pings > 3, `${pings} were answered`);
});

t.test('at idle exit a quiet connection that speaks no HTTP is ended at once', async (t) => {
  const program = await start(
    t,
    `import { createServer as createNetServer } from 'node:net';
     const server = createNetServer((socket) => { socket.on('error', () => {}); socket.write('hello'); });
     const services = [await serve(server, { idleTimeout: '300ms' })];`,
    { fds: ['tcp()'] },
  );
  const quiet = new RawClient(program.ports[0]!);
  await quiet.until(/hello/);
  const started = performance.now();
  await quiet.ended;
  t.match(await program.ended, { code: 0 });
  t.ok(performance.now() - started < 3_000);
});

t.test('an empty list of apps is refused', async (t) => {
  const program = activate(t, [
    process.execPath,
    '--input-type=module',
    '--eval',
    `import { serve } from 'listenfds'; await serve([]);`,
  ]);
  t.match(await program.ended, { code: 1, stderr: /LISTENFDS_BAD_OPTION/ });
});

const eventStream = `
  const streams = new Set();
  const events = (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\\n\\n');
    streams.add(response);
    say('got a stream');
  };
  const endStreams = () => { say('pre-close'); for (const stream of streams) stream.end('event: bye\\n\\n'); };`;

for (const [framework, code] of [
  [
    'Fastify’s preClose',
    `import fastify from 'fastify';
     const app = fastify();
     app.get('/', (request, reply) => { reply.hijack(); events(request, reply.raw); });
     app.register(async (child) => child.addHook('preClose', (done) => { endStreams(); done(); }));
     app.addHook('onClose', async () => say('post-close'));`,
  ],
  [
    'Nest’s onModuleDestroy',
    `${await requireFrom('nest-12')}
     require('reflect-metadata');
     const { Module } = require('@nestjs/common');
     const { NestFactory } = require('@nestjs/core');
     class AppModule {
       onModuleDestroy() { endStreams(); }
       onApplicationShutdown() { say('post-close'); }
     }
     Module({})(AppModule);
     const app = await NestFactory.create(AppModule, { logger: false });
     app.use('/', events);`,
  ],
  [
    'Hapi’s onPreStop',
    `import hapi from '@hapi/hapi';
     const app = hapi.server();
     app.route({ method: 'GET', path: '/', handler: ({ raw }, h) => { events(raw.req, raw.res); return h.abandon; } });
     app.ext('onPreStop', endStreams);
     app.ext('onPostStop', () => say('post-close'));`,
  ],
  [
    'service.signal',
    `const app = createServer((request, response) => {
       events(request, response);
       services[0].signal.addEventListener('abort', ({ target: { reason } }) => {
         endStreams();
         say('reason ' + reason.code + ' ' + reason.cause);
       });
     });`,
  ],
] as const) {
  t.test(`${framework} ends event streams at the beginning of a stop`, async (t) => {
    const program = await start(t, `${eventStream}\n${code}\nconst services = [await serve(app, local)];`);
    const client = new RawClient(program.ports[0]!);
    client.send('/');
    t.equal(await program.line(), 'got a stream');
    await client.until(/data: 1/);
    const started = performance.now();
    program.child.kill('SIGTERM');
    await client.until(/event: bye/);
    t.ok(performance.now() - started < 3_000);
    client.socket.destroy();
    const { stdout, code: status } = await program.ended;
    t.equal(status, 0);
    t.equal(stdout.match(/pre-close/g)?.length, 1);
    t.match(
      stdout,
      framework === 'service.signal'
        ? /reason LISTENFDS_STOPPING SIGTERM/
        : /pre-close[^]*post-close|post-close[^]*pre-close/,
    );
  });
}
