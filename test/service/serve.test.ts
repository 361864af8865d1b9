// serve(): a service from its first listener to its exit, as a manager and its clients see it.
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { serve, type ServeOptions } from 'listenfds';
import { activate, activateModule, type Activated } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { receive } from '../support/receiver.ts';

const program = [process.execPath, 'test/fixtures/serve.js'];

interface Started extends Activated {
  port: number;
}

async function start(t: Test, options: object, env: Record<string, string> = {}, fds = ['tcp()']): Promise<Started> {
  const service = activate(t, program, { fds, env: { SERVE_OPTIONS: JSON.stringify(options), ...env } });
  const line = await service.line();
  const [, source, address] = /^listening (\w+) (.*)$/.exec(line)!;
  t.equal(source, fds.length > 0 ? 'inherited' : 'bound');
  return Object.assign(service, { port: (JSON.parse(address!) as AddressInfo).port });
}

/** A manager that listens for notifications: what it heard, one text a message. */
async function managed(
  t: Test,
): Promise<{ address: string; states(count: number): Promise<string[]>; until(pattern: RegExp): Promise<string> }> {
  const receiver = await receive(t);
  const next = async (): Promise<string> => (await receiver.message()).text;
  return {
    address: receiver.address,
    async states(count) {
      const texts: string[] = [];
      while (texts.length < count) texts.push(await next());
      return texts;
    },
    until: async (pattern) => (await receiver.until(pattern)).text,
  };
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} lets the request in flight end, runs onStop and exits 0`, async (t) => {
    const service = await start(t, {});
    const answer = get({ port: service.port, path: '/slow?ms=300' });
    t.equal(await service.line(), 'slow');
    process.kill(service.pid, signal);
    t.equal(await service.line(), 'draining 0');
    t.equal(await answer, 'slow');
    t.equal(await service.line(), `stop ${signal}`);
    t.match(await service.ended, { code: 0, signal: null, stderr: '' });
  });
}

/** A second signal sooner than that is the first one once more. */
const beyondEcho = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1100));

t.test('a second signal ends it at once, as it would have without us', async (t) => {
  const service = await start(t, {});
  get({ port: service.port, path: '/slow?ms=60000' }).catch(() => {});
  t.equal(await service.line(), 'slow');
  process.kill(service.pid, 'SIGTERM');
  t.equal(await service.line(), 'draining 0');
  await beyondEcho();
  process.kill(service.pid, 'SIGTERM');
  t.match(await service.ended, { code: null, signal: 'SIGTERM' });
});

t.test('with drainDelay it serves on after the signal, and only its health endpoint says no', async (t) => {
  const manager = await managed(t);
  const service = await start(t, { drainDelay: 2000 }, { NOTIFY_SOCKET: manager.address });
  t.equal(await get({ port: service.port, path: '/health' }), 'ready');
  process.kill(service.pid, 'SIGTERM');
  t.match(await manager.until(/STOPPING=1/), /EXTEND_TIMEOUT_USEC=15000000\nSTATUS=Not ready, draining soon/);
  t.equal(await get({ port: service.port, path: '/health' }), 'not ready');
  const answers = [await get(service.port), await get({ port: service.port, path: '/slow?ms=1' })];
  t.match(answers, [/^pid \d+/, 'slow'], 'new connections are served as before');
  for (const line of ['slow', 'draining 0', 'stop SIGTERM']) t.equal(await service.line(), line);
  t.match(await service.ended, { code: 0, signal: null, stderr: '' });
});

t.test('a drain that the program asks for does not wait, and a second signal still ends it at once', async (t) => {
  const before = process.listenerCount('SIGTERM');
  const service = await serve(() => {}, { port: 0, exit: false, drainDelay: '1h' });
  t.equal(service.ready, true);
  process.kill(process.pid, 'SIGTERM');
  while (service.ready) await new Promise((resolve) => setImmediate(resolve));
  t.ok(service.listening[0]!.server.listening, 'it listens still');
  await service.drain();
  await service.close();
  t.equal(process.listenerCount('SIGTERM'), before);

  const other = await start(t, { drainDelay: 3_600_000 });
  process.kill(other.pid, 'SIGTERM');
  while ((await get({ port: other.port, path: '/health' })) === 'ready');
  await beyondEcho();
  process.kill(other.pid, 'SIGTERM');
  t.match(await other.ended, { code: null, signal: 'SIGTERM' });
});

t.test('after an uncaught error requests in flight are answered, and it exits 1', async (t) => {
  const service = await start(t, { crashTimeout: 5000 });
  const answer = get({ port: service.port, path: '/slow?ms=300' });
  t.equal(await service.line(), 'slow');
  get({ port: service.port, path: '/crash' }).catch(() => {});
  t.equal(await service.line(), 'draining 0');
  t.equal(await answer, 'slow');
  t.match(await service.ended, { code: 1, stderr: /Uncaught Error: crashed/, stdout: /stop error/ });
});

t.test('the manager hears of every step', async (t) => {
  const manager = await managed(t);
  const service = await start(t, {}, { NOTIFY_SOCKET: manager.address, RELOAD: 'yes' });
  t.same(await manager.states(1), ['READY=1\nSTATUS=0 active, 0 accepted, 0 refused']);
  process.kill(service.pid, 'SIGHUP');
  t.equal(await service.line(), 'reload');
  const [reloading, ready] = await manager.states(2);
  t.match(reloading, /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
  t.match(ready, /^READY=1\nSTATUS=0 active/);
  process.kill(service.pid, 'SIGTERM');
  t.match((await manager.states(1))[0], /^STOPPING=1\n(.+\n)*EXTEND_TIMEOUT_USEC=15000000/m);
  t.match(await service.ended, { code: 0 });
});

t.test('a reload that fails leaves the service as it was, and the manager knows why', async (t) => {
  const manager = await managed(t);
  const service = await start(t, {}, { NOTIFY_SOCKET: manager.address, RELOAD: 'fail' });
  await manager.states(1);
  process.kill(service.pid, 'SIGHUP');
  const [, after] = await manager.states(2);
  t.match(after, /^READY=1\nSTATUS=Reload failed, going on as before: bad configuration$/);
  t.match(await get(service.port), /^pid \d+/);
});

t.test('what comes while a reload runs is one more reload', async (t) => {
  const service = await start(t, {}, { RELOAD: 'slow' });
  process.kill(service.pid, 'SIGHUP');
  t.equal(await service.line(), 'reload');
  for (let i = 0; i < 3; i++) {
    process.kill(service.pid, 'SIGHUP');
    t.match(await get(service.port), /^pid/, 'it has had the signal');
  }
  t.equal(await service.line(), 'reload');
  process.kill(service.pid, 'SIGTERM');
  t.equal(await service.line(), 'draining 0', 'and not three');
  t.match(await service.ended, { code: 0 });
});

t.test('a stop hook that fails makes it exit 1, and says why', async (t) => {
  const service = await start(t, {}, { STOP: 'fail' });
  process.kill(service.pid, 'SIGTERM');
  const { code, stderr } = await service.ended;
  t.equal(code, 1);
  t.match(stderr, /The service did not end cleanly: Error: the database is gone/);
});

t.test('a signal that comes while it starts ends it as soon as it has started', async (t) => {
  const source = `
    import { once } from 'node:events';
    import fastify from 'fastify';
        import { serve } from 'listenfds';
    const app = fastify();
    app.addHook('onReady', async () => {
      setImmediate(() => process.kill(process.pid, 'SIGTERM'));
      await once(process, 'SIGTERM');
    });
    await serve(app, { port: 0, host: '127.0.0.1', onStop: ({ reason }) => console.log('stop', reason) });
    console.log('started');`;
  const { code, signal, stdout } = await activateModule(t, source).ended;
  t.same({ code, signal }, { code: 0, signal: null });
  t.equal(stdout, 'started\nstop SIGTERM\n');
});

t.test('no upgrade begins in a service that is stopping', async (t) => {
  const service = await serve(() => {}, { port: 0, host: '127.0.0.1', exit: false, upgrade: true });
  await service.drain();
  await t.rejects(service.upgrade(), { code: 'LISTENFDS_UPGRADE_REFUSED', message: /The service is stopping/ });
  await service.close();
});

t.test('SIGHUP is caught by the time of READY=1, with a hook or without', async (t) => {
  const manager = await managed(t);
  const service = await start(t, {}, { NOTIFY_SOCKET: manager.address });
  await manager.states(1);
  process.kill(service.pid, 'SIGHUP');
  t.match(await manager.states(2), [/^RELOADING=1/, /^READY=1/]);
});

t.test('the status counts connections, and is sent anew when they change', async (t) => {
  const manager = await managed(t);
  const service = await start(t, { maxConnectionsPerSource: 1 }, { NOTIFY_SOCKET: manager.address });
  await manager.states(1);
  const first = connect(service.port, '127.0.0.1');
  await once(first, 'connect');
  const second = connect(service.port, '127.0.0.1').on('error', () => {});
  await once(second, 'close');
  t.same(await manager.states(1), ['STATUS=1 active, 1 accepted, 1 refused']);
  first.destroy();
  t.same(await manager.states(1), ['STATUS=0 active, 1 accepted, 1 refused']);
});

t.test('an uncaught error is told with its exit status, on one line', async (t) => {
  const manager = await managed(t);
  const service = await start(t, { crashTimeout: 100 }, { NOTIFY_SOCKET: manager.address });
  await manager.states(1);
  get({ port: service.port, path: '/crash' }).catch(() => {});
  t.match(await manager.until(/EXIT_STATUS/), /STATUS=Failed: crashed on request\n(.*\n)*EXIT_STATUS=1/);
  t.match(await service.ended, { code: 1 });
});

t.test('a manager that has gone does not end the service', async (t) => {
  const service = await start(t, {}, { NOTIFY_SOCKET: '/nonexistent/notify' });
  t.match(await get(service.port), /^pid/);
  process.kill(service.pid, 'SIGTERM');
  t.match(await service.ended, { code: 0, stderr: /manager cannot be told/ });
});

t.test('idle exit: a silent connection is idle, a request or a WebSocket is not', async (t) => {
  const service = await start(t, { idleTimeout: '300ms', drain: { grace: 10, timeout: 100 } });
  const silent = connect(service.port, '127.0.0.1').on('error', () => {});
  t.equal(
    await get({ port: service.port, path: '/slow?ms=700' }),
    'slow',
    'a request longer than the idle timeout is answered',
  );
  const socket = connect(service.port, '127.0.0.1').on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  t.equal(await service.line(), 'slow');
  t.equal(await service.line(), 'upgraded');
  const longer = new Promise((resolve) => setTimeout(resolve, 700));
  t.equal(await Promise.race([longer, service.ended]), undefined, 'it stays for the WebSocket');
  socket.destroy();
  t.match(await service.ended, { code: 0, stdout: /stop idle/ });
  silent.destroy();
});

t.test('idle exit does not concern a listener that nobody else keeps', async (t) => {
  const service = await start(t, { port: 0, idleTimeout: 20 }, {}, []);
  const longer = new Promise((resolve) => setTimeout(resolve, 300));
  t.equal(await Promise.race([longer, service.ended]), undefined);
});

t.test('passed and own listeners in one service: that idleTimeout has no effect is said once', async (t) => {
  const path = join(temporaryFolder(t), 'own.sock');
  for (const own of [{ port: 0, host: '127.0.0.1' }, { path }]) {
    const source = `
      import { serve } from 'listenfds';
      const app = (request, response) => response.end('x');
      const targets = [{ name: 'web' }, { ...${JSON.stringify(own)}, activation: 'never' }];
      const { listening } = await serve(targets.map((target) => ({ app, ...target })), { idleTimeout: 50 });
      console.log(JSON.stringify(listening.map(({ origin }) => origin)));`;
    const service = activateModule(t, source, { fds: ['tcp()'], names: ['web'] });
    t.same(await service.json(), ['manager', 'self']);
    const longer = new Promise((resolve) => setTimeout(resolve, 300));
    t.equal(await Promise.race([longer, service.ended]), undefined, 'it stays');
    const { stderr } = await service.kill('SIGTERM');
    const place = 'path' in own ? path : '127\\.0\\.0\\.1:\\d+';
    const warning = `idleTimeout has no effect: nobody would keep ${place}, which the service has bound itself`;
    t.equal(stderr.match(new RegExp(warning, 'g'))?.length, 1, stderr);
  }
});

t.test('several apps are one service', async (t) => {
  const manager = await managed(t);
  const service = activate(t, [process.execPath, 'test/fixtures/serve-two.js'], {
    fds: ['tcp()', 'tcp()'],
    names: ['web', 'admin'],
    env: { NOTIFY_SOCKET: manager.address },
  });
  const [web, admin] = await service.json<{ name: string; port: number }[]>();
  t.same([web!.name, admin!.name], ['web', 'admin']);
  t.same(await Promise.all([get(web!.port), get(admin!.port)]), ['web', 'admin']);
  t.match(await manager.until(/2 accepted/), /STATUS=\d active, 2 accepted/);
  process.kill(service.pid, 'SIGTERM');
  t.match(await service.ended, { code: 0 });
});

t.test('a listener that cannot be opened takes the others back, and leaves no handler behind', async (t) => {
  const handlers = (): number => process.listenerCount('SIGTERM') + process.listenerCount('uncaughtException');
  const before = handlers();
  const apps = [
    { app: () => {}, port: 0, host: '127.0.0.1' },
    { app: () => {}, path: '/nonexistent/folder/socket' },
  ];
  await t.rejects(serve(apps), { code: 'ENOENT', syscall: 'listen' });
  t.equal(handlers(), before);
});

t.test('exit: false leaves the end to the program, and close() runs it', async (t) => {
  const reasons: string[] = [];
  const service = await serve((_: unknown, response: { end(text: string): void }) => response.end('x'), {
    port: 0,
    host: '127.0.0.1',
    exit: false,
    onStop: ({ reason }) => reasons.push(reason),
  });
  t.match(service.stats, { accepted: 0, active: 0, refused: 0 });
  const { port } = service.listening[0]!.address as AddressInfo;
  t.equal(await get(port), 'x');
  t.equal(service.stats.accepted, 1);
  await Promise.all([service.close(), service.close()]);
  t.same(reasons, ['close']);
  await t.rejects(get(port), { code: 'ECONNREFUSED' });
});

t.test('close() does not wait for the idle connection of a fetch', async (t) => {
  const service = await serve((_: unknown, response: { end(text: string): void }) => response.end('x'), {
    port: 0,
    host: '127.0.0.1',
    exit: false,
  });
  t.equal(await (await fetch(service.listening[0]!.url!)).text(), 'x');
  const began = performance.now();
  await service.close();
  t.ok(performance.now() - began < 2000, 'fetch() keeps its connection open for four seconds');
});

t.test('a stop hook that never ends does not keep the process', async (t) => {
  const service = await serve(() => {}, {
    port: 0,
    exit: false,
    drain: { timeout: 10 },
    onStop: () => new Promise(() => {}),
  });
  await t.rejects(service.close(), { code: 'LISTENFDS_TIMEOUT', message: /onStop did not finish within \d{3,4} ms/ });
});

t.test('bad options are refused before anything is opened', async (t) => {
  for (const options of [
    { idleTimeout: 'soon' },
    { idleTimeout: 0 },
    { idleTimeout: '1year' },
    { idleTimout: '1min' },
    { drainDelay: 'a while' },
    { maxConnections: 0 },
    { allow: ['10.0.0.0/33'] },
    { deny: ['example.org'] },
  ] as ServeOptions[]) {
    await t.rejects(
      serve(() => {}, { port: 0, ...options }),
      { code: 'LISTENFDS_BAD_OPTION' },
      JSON.stringify(options),
    );
  }
  await t.rejects(serve([{ app: () => {} }], { port: 0 } as ServeOptions), {
    code: 'LISTENFDS_BAD_OPTION',
    message: /port/,
  });
});
