// An upgrade that comes to nothing: the old process is whole, no request is lost, and the next upgrade finds all as it was.
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { activateModule } from '../support/activate.ts';
import { as, withoutOtherUsers } from '../support/as.ts';
import { temporaryFolder } from '../support/folder.ts';
import { receive } from '../support/receiver.ts';
import { alive, answer, exitOf, listening, start, upgrade } from '../support/upgradable.ts';

/** Clients that ask until they are stopped; who answered them. */
function load(port: number): { stop(): Promise<Set<string>> } {
  const seen = new Set<string>();
  let running = true;
  const clients = [1, 2, 3, 4].map(async () => {
    while (running) seen.add(await answer(port));
  });
  return {
    async stop() {
      running = false;
      await Promise.all(clients);
      return seen;
    },
  };
}

for (const behaviour of ['plugin', 'bind']) {
  t.test(`a successor whose app fails to start has accepted nothing for its other apps: ${behaviour}`, async (t) => {
    const service = await start(t, { program: 'upgrade-apps.js' });
    service.behave(behaviour);
    const clients = load(service.port);
    const { exitCode, stderr } = await upgrade(service.pid);
    t.equal(exitCode, 1);
    t.match(stderr, /ended with status 1 before it was ready/);
    t.same([...(await clients.stop())], [`pid ${service.pid}`], 'every answer is the old process’s');
    service.behave('');
    t.equal((await upgrade(service.pid)).exitCode, 0, 'and the next one works');
    const { pid } = await listening(service);
    t.equal(await exitOf(service), 0);
    t.equal(await answer(service.port), `pid ${pid}`);
  });
}

for (const behaviour of ['bug-after', 'killed-after']) {
  t.test(`a successor that ends right behind READY=1 is none: ${behaviour}`, async (t) => {
    const service = await start(t, { options: { port: 0, host: '127.0.0.1' } });
    service.behave(behaviour);
    const { exitCode, stderr } = await upgrade(service.pid);
    t.equal(exitCode, 1);
    t.match(stderr, /right after it was ready/);
    t.same(alive(service), [service.pid], 'nobody else is left');
    t.equal(await answer(service.port), `pid ${service.pid}`);
  });
}

for (const behaviour of ['', 'bug-after']) {
  t.test(`a successor leaves what the manager keeps of connections alone: ${behaviour || 'well'}`, async (t) => {
    const manager = await receive(t);
    const service = await start(t, {
      options: { port: 0, host: '127.0.0.1' },
      env: { NOTIFY_SOCKET: manager.address },
    });
    service.behave(behaviour);
    const upgraded = upgrade(service.pid);
    const said: string[] = [];
    do said.push((await manager.message()).text);
    while (!/MAINPID=|STATUS=Upgrade failed/.test(said.at(-1)!));
    t.match(await upgraded, { exitCode: behaviour === '' ? 0 : 1 });
    t.notMatch(said.join('\n'), /FDSTORE/);
  });
}

t.test('a stop in the moment after READY=1 lets both answer what they have', async (t) => {
  const service = await start(t, { options: { port: 0, host: '127.0.0.1' } });
  const asked = upgrade(service.pid);
  const { pid } = await listening(service);
  const slow = Promise.all(Array.from({ length: 20 }, () => answer(service.port, '/slow?ms=300&say')));
  for (let i = 0; i < 20; i++) t.equal(await service.line(), 'asked');
  process.kill(service.pid, 'SIGTERM');
  for (const text of await slow) t.match(text, /^slow \d+$/);
  await asked;
  await exitOf(service);
  while (alive(service).length > 0) await new Promise((resolve) => setImmediate(resolve));
  t.not(pid, service.pid);
});

t.test('a successor that needs longer, but not as long as it is allowed, does not get less time', async (t) => {
  const service = await start(t, { options: { port: 0, host: '127.0.0.1' } });
  service.behave('extend-less');
  const { exitCode, stderr } = await upgrade(service.pid);
  t.equal(exitCode, 0, stderr);
});

t.test('prepare() that never settles fails in time, and the next upgrade is not refused', async (t) => {
  const service = await start(t, { program: 'upgrade-prepare.js' });
  service.behave('hang');
  const { exitCode, stderr } = await upgrade(service.pid);
  t.equal(exitCode, 1);
  t.match(stderr, /prepare\(\) did not settle in time/);
  service.behave('');
  t.equal((await upgrade(service.pid)).exitCode, 0);
});

t.test(
  'connections that were to go along are read again, and nothing leaks, where prepare() gives no lists',
  async (t) => {
    const service = await start(t, { program: 'upgrade-prepare.js' });
    const client = connect(service.port, '127.0.0.1');
    t.teardown(() => client.destroy());
    const lines = createInterface({ input: client })[Symbol.asyncIterator]();
    client.write('1');
    t.equal((await lines.next()).value, `1 ${service.pid}`);
    service.behave('not a list');
    await upgrade(service.pid); // what is loaded for the first upgrade stays open
    const before = readdirSync(`/proc/${service.pid}/fd`).length;
    for (let i = 0; i < 3; i++) t.equal((await upgrade(service.pid)).exitCode, 1);
    client.write('2');
    t.equal((await lines.next()).value, `2 ${service.pid}`);
    // What asked for the upgrades closes in its own time; what leaks never does.
    while (readdirSync(`/proc/${service.pid}/fd`).length > before) await new Promise((done) => setImmediate(done));
  },
);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`a second ${signal} ends a service that hangs in its start`, async (t) => {
    const service = activateModule(
      t,
      `import fastify from 'fastify';
      import { serve } from 'listenfds';
      const app = fastify({ pluginTimeout: 0 });
      app.register(async () => {
        console.log('hangs');
        setInterval(() => {}, 1000);
        await new Promise(() => {});
      });
      await serve(app, { port: 0, host: '127.0.0.1' });`,
    );
    t.equal(await service.line(), 'hangs');
    // Twice within a second is once.
    const again = setInterval(() => process.kill(service.pid, signal), 300);
    void service.ended.then(() => clearInterval(again));
    t.match(await service.ended, { code: null, signal });
  });
}

t.test('an empty list of apps is refused', async (t) => {
  const service = activateModule(t, `import { serve } from 'listenfds'; await serve([]);`);
  t.match((await service.ended).stderr, /LISTENFDS_BAD_OPTION/);
});

t.test(
  'where no process can be made, that is what is said, and the next upgrade finds all as it was',
  { skip: withoutOtherUsers() },
  async (t) => {
    const folder = temporaryFolder(t);
    const user = { uid: 54_331, gid: 1 };
    chownSync(folder, user.uid, user.gid);
    const env = { RUNTIME_DIRECTORY: folder };
    const service = await start(t, { options: { port: 0, host: '127.0.0.1' }, through: as(user), env });
    chmodSync(dirname(service.file), 0o755);
    await sleep(1_500); // what an upgrade needs is made ready a second after the start
    const limit = (most: number): void => {
      const [file, ...args] = [...as(user), 'prlimit', `--pid=${service.pid}`, `--nproc=${most}:`];
      execFileSync(file!, args);
    };
    limit(1);
    const refused = await upgrade(service.pid);
    t.equal(refused.exitCode, 1);
    t.match(refused.stderr, /The successor could not be started: EAGAIN: .*, fork /);
    t.notMatch(refused.stderr, /execve/);
    t.same(alive(service), [service.pid]);
    t.equal(await answer(service.port), `pid ${service.pid}`);
    // Room for the process in between, but for none after it: of this user's, threads count.
    limit(readdirSync(`/proc/${service.pid}/task`).length + 1);
    const half = await upgrade(service.pid);
    t.match(half.stderr, /The successor could not be started: EAGAIN: .*, fork /);
    t.same(alive(service), [service.pid]);
    limit(1000);
    t.equal((await upgrade(service.pid)).exitCode, 0);
  },
);

t.test('where the process in between is killed, the successor goes as well', async (t) => {
  const service = await start(t, { options: { port: 0, host: '127.0.0.1' } });
  service.behave('tell');
  const asked = upgrade(service.pid);
  const successor = Number(/^successor (\d+)$/.exec(await service.line())![1]);
  const parent = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${successor}/status`, 'utf8'))![1]);
  t.not(parent, service.pid);
  process.kill(parent, 'SIGKILL');
  t.equal((await asked).exitCode, 1);
  while (alive(service).length > 1) await new Promise((resolve) => setImmediate(resolve));
  t.equal(await answer(service.port), `pid ${service.pid}`);
});
