// service.upgrade(): the successor serves before the old process leaves, and where it does not get there, nothing changes.
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { inject } from '../support/inject.ts';
import { receive } from '../support/receiver.ts';
import { without } from '../support/tools.ts';
import {
  alive,
  answer,
  exitOf,
  listening,
  start,
  successorOf,
  upgrade,
  type Upgradable,
} from '../support/upgradable.ts';

t.jobs = 4; // most of the time they wait

/** What a process has open. */
const descriptors = (pid: number): string[] => readdirSync(`/proc/${pid}/fd`);

for (const [what, fds] of [
  ['an adopted', ['tcp()']],
  ['a self-bound', []],
] as const) {
  t.test(`${what} listener goes to the successor, the request in flight is answered by the old process`, async (t) => {
    const service = await start(t, { options: { port: 0, host: '127.0.0.1' }, fds });
    const slow = answer(service.port, '/slow?ms=1500');
    t.equal(await answer(service.port), `pid ${service.pid}`);
    const { exitCode, stdout } = await upgrade(service.pid);
    t.equal(exitCode, 0);
    const { pid, port } = await listening(service);
    t.match(stdout, new RegExp(`upgraded from pid ${service.pid} to pid ${pid} in \\d+ ms`));
    t.equal(port, service.port);
    t.equal(await answer(service.port), `pid ${pid}`);
    t.equal(await slow, `slow ${service.pid}`);
    t.equal(await exitOf(service), 0);
    t.equal(await answer(service.port), `pid ${pid}`);
  });
}

t.test('nobody is refused while ten generations follow each other, and state goes along', async (t) => {
  const service = await start(t, { options: { port: 0, host: '127.0.0.1' } });
  let running = true;
  let answered = 0;
  const clients = Promise.all(
    [1, 2, 3].map(async () => {
      while (running) {
        await answer(service.port);
        answered += 1;
      }
    }),
  );
  let { pid } = service;
  for (let generation = 1; generation <= 10; generation++) {
    process.kill(pid, 'SIGUSR2');
    ({ pid } = await listening(service));
  }
  running = false;
  await clients;
  t.ok(answered > 10, `${answered} requests`);
  // The one before accepts until it has heard that this one is ready.
  let last = JSON.parse(await answer(service.port, '/fds'));
  while (last.pid !== pid) last = JSON.parse(await answer(service.port, '/fds'));
  t.same(last, { pid, state: { generation: 10 } });
});

t.test('the successor starts as the first one did, whatever that has changed of itself since', async (t) => {
  const options = { port: 0, host: '127.0.0.1' };
  const dotenv = join(temporaryFolder(t), '.env');
  writeFileSync(dotenv, 'GREETING=one');
  const env = { TOKEN: 'secret', DOTENV: dotenv };
  const service = await start(t, { options, env });
  const told = async (): Promise<unknown> => JSON.parse(await answer(service.port, '/start'));
  t.match(await told(), { token: 'secret', greeting: 'one', folder: resolve(root) });
  writeFileSync(dotenv, 'GREETING=two');
  t.match(await upgrade(service.pid), { exitCode: 0 });
  await listening(service);
  await exitOf(service);
  t.strictSame(await told(), { token: 'secret', greeting: 'two', folder: resolve(root), arguments: ['pushed'] });
});

for (const [behaviour, reason] of [
  ['crash', /ended with status 1 before it was ready/],
  ['exit', /ended with status 0 before it was ready/],
  ['killed', /ended by SIGKILL before it was ready/],
  ['bind', /ended with status 1 before it was ready/],
  ['hang', /was not ready in time/],
] as const) {
  t.test(`a successor that does this leaves everything as it was: ${behaviour}`, async (t) => {
    const manager = await receive(t, `@listenfds-test-${process.pid}-${behaviour}`);
    const service = await start(t, {
      options: { port: 0, host: '127.0.0.1', upgrade: { timeout: 1000 } },
      env: { NOTIFY_SOCKET: manager.address },
    });
    await upgradeFails(service); // what is loaded for the first upgrade stays open
    const before = descriptors(service.pid).length;
    service.behave(behaviour);
    const { exitCode, stderr } = await upgrade(service.pid);
    t.equal(exitCode, 1);
    t.match(stderr, reason);
    t.equal(await answer(service.port), `pid ${service.pid}`);
    t.same(alive(service), [service.pid], 'no process is left');
    // The connections of the questions above close in their own time; what leaks never does.
    while (descriptors(service.pid).length > before) await new Promise((resolve) => setImmediate(resolve));
    t.match(
      (await manager.until(/STATUS=Upgrade failed/)).text,
      /READY=1\nSTATUS=Upgrade failed, going on as before: The succ/,
    );
    service.behave('');
    t.equal((await upgrade(service.pid)).exitCode, 0, 'and the next one works');
  });
}

async function upgradeFails(service: Upgradable): Promise<void> {
  service.behave('crash');
  await upgrade(service.pid);
}

t.test('a second upgrade while one runs is refused, and the first goes on', async (t) => {
  const service = await start(t, { options: { port: 0, host: '127.0.0.1', upgrade: { timeout: 60_000 } } });
  service.behave('hang');
  const first = upgrade(service.pid);
  await successorOf(service);
  const second = await upgrade(service.pid);
  t.equal(second.exitCode, 1);
  t.match(second.stderr, /There is no upgrade now: One is under way/);
  for (const pid of alive(service)) if (pid !== service.pid) process.kill(pid, 'SIGKILL');
  t.match((await first).stderr, /ended by SIGKILL before it was ready/);
});

t.test('where there is no new program, the old one goes on', async (t) => {
  const service = await start(t, {
    options: { port: 0, host: '127.0.0.1', upgrade: { command: ['/nonexistent/node', 'app.js'] } },
  });
  const { exitCode, stderr } = await upgrade(service.pid);
  t.equal(exitCode, 1);
  t.match(stderr, /could not be started: ENOENT.*\/nonexistent\/node/);
  t.equal(await answer(service.port), `pid ${service.pid}`);
});

t.test('a stop during an upgrade ends both', async (t) => {
  const service = await start(t, { options: { port: 0, host: '127.0.0.1' } });
  service.behave('hang');
  const asked = upgrade(service.pid);
  await successorOf(service);
  process.kill(service.pid, 'SIGTERM');
  await asked;
  await exitOf(service);
  while (alive(service).length > 0) await new Promise((resolve) => setImmediate(resolve));
  t.pass('nobody is left');
});

// execve(2) takes its time on a busy machine, and here on every one.
const slowExec = inject('execve', 'delay_enter=500000');

t.test('nor when the stop comes while the successor is being started', { skip: without('strace') }, async (t) => {
  const options = { port: 0, host: '127.0.0.1', drain: { timeout: 0, grace: 0 } };
  const service = await start(t, { options, through: slowExec });
  service.behave('hang');
  t.equal(await answer(service.port, '/upgrade-and-stop'), 'stopping');
  t.equal(await exitOf(service), 0);
  t.same(alive(service), []);
});

t.test('the old process is killed in the middle: the successor serves, it has the sockets', async (t) => {
  const service = await start(t, { options: { port: 0, host: '127.0.0.1' } });
  service.behave('slow');
  void upgrade(service.pid);
  await successorOf(service);
  process.kill(service.pid, 'SIGKILL');
  const { pid } = await listening(service);
  t.equal(await answer(service.port), `pid ${pid}`);
});

t.test('the manager is told of the new main process and of its readiness in one message', async (t) => {
  const manager = await receive(t, `@listenfds-test-${process.pid}-main`);
  const service = await start(t, {
    options: { port: 0, host: '127.0.0.1' },
    env: { NOTIFY_SOCKET: manager.address, WATCHDOG_USEC: '60000000' },
  });
  t.equal((await upgrade(service.pid)).exitCode, 0);
  const { pid } = await listening(service);
  t.match((await manager.until(/^RELOADING=1/)).text, /MONOTONIC_USEC=\d+/);
  const { text: told } = await manager.until(/MAINPID/);
  t.match(told, new RegExp(`MAINPID=${pid}\\n`));
  t.match(told, /READY=1/);
  for (;;) {
    const message = await manager.message();
    if (message.pid !== pid) continue;
    t.match(message.text, /^(WATCHDOG=1|STATUS=)/, 'then the successor speaks for itself');
    break;
  }
});

t.test('a successor may ask for more time', async (t) => {
  const service = await start(t, { options: { port: 0, host: '127.0.0.1', upgrade: { timeout: 1000 } } });
  service.behave('extend');
  const { exitCode, stderr } = await upgrade(service.pid);
  t.equal(exitCode, 0, stderr);
  const { pid } = await listening(service);
  t.equal(await answer(service.port), `pid ${pid}`);
});

t.test('what the successor tells the manager before it takes over is not lost', async (t) => {
  const manager = await receive(t, `@listenfds-test-${process.pid}-telling`);
  const service = await start(t, {
    program: 'upgrade-telling.js',
    options: { port: 0, host: '127.0.0.1' },
    env: { NOTIFY_SOCKET: manager.address },
  });
  const upgraded = upgrade(service.pid);
  const { text, fds, pid } = await manager.until(/^FDSTORE=1/);
  t.match(text, /^FDNAME=kept$/m);
  t.equal(fds.length, 1);
  t.equal(pid, service.pid, 'the main process says it, whom the manager listens to');
  t.equal((await upgraded).exitCode, 0);
  await listening(service);
  t.same(await service.json(), { stored: true, told: true });
});

t.test('names and order of what was passed stay, what nobody took and what was bound here go along', async (t) => {
  const service = await start(t, {
    program: 'upgrade-many.js',
    fds: ['tcp()', 'udp()', 'tcp()'],
    names: ['web', 'dns', 'spare'],
    options: { folder: temporaryFolder(t) },
  });
  const before = JSON.parse(await service.line());
  t.equal((await upgrade(service.pid)).exitCode, 0);
  await listening(service);
  const after = JSON.parse(await service.line());
  t.same(after.passed.slice(0, 3), before.passed, 'the first three are the manager’s');
  t.same(
    after.passed
      .slice(3)
      .map(({ name, family, type }: { name: string; family: string; type: string }) => [name, `${family} ${type}`]),
    [
      ['unknown', 'unix stream'],
      ['log', 'unix dgram'],
      ['stats', 'inet dgram'],
    ],
  );
  t.same(after.sources, { web: 'inherited', path: 'inherited' });
  const client = connect(before.path);
  await once(client, 'connect');
  client.destroy();
  t.pass('the path is still there when the old process has gone');
});

t.test('listenfds upgrade says why it cannot ask', async (t) => {
  const nobody = await upgrade(process.pid);
  t.equal(nobody.exitCode, 1);
  t.match(nobody.stderr, /does not take upgrades/);
  const wrong = await upgrade('web.service');
  t.equal(wrong.exitCode, 2);
});
