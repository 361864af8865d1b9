// What the manager has to hear of a service reaches it: past a full queue, and whatever errors have in them.
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { activate, activateModule } from '../support/activate.ts';
import { get } from '../support/http.js';
import { isAlive } from '../support/processes.ts';
import { receive } from '../support/receiver.ts';
import { exitOf, start as startUpgradable, upgrade } from '../support/upgradable.ts';

const program = [process.execPath, 'test/fixtures/serve.js'];

async function start(t: Test, env: Record<string, string>) {
  const service = activate(t, program, { fds: ['tcp()'], env });
  const [, address] = /^listening \w+ (.*)$/.exec(await service.line())!;
  return Object.assign(service, { port: (JSON.parse(address!) as AddressInfo).port });
}

t.test('READY=1 that found no room is said again, and the service serves meanwhile', async (t) => {
  const receiver = await receive(t);
  await receiver.fill();
  const service = await start(t, { NOTIFY_SOCKET: receiver.address });
  t.equal((await get({ port: service.port, path: '/health' })).trim(), 'ready');
  await receiver.command('resume');
  t.match((await receiver.until(/READY/)).text, /^READY=1\nSTATUS=/);
});

t.test('STOPPING=1 does not overtake the READY=1 that waits', async (t) => {
  const receiver = await receive(t);
  await receiver.fill();
  const service = await start(t, { NOTIFY_SOCKET: receiver.address });
  // For longer than the test: a service that has ended says nothing any more.
  get({ port: service.port, path: '/slow?ms=25000' }).catch(() => {});
  t.equal(await service.line(), 'slow');
  process.kill(service.pid, 'SIGTERM');
  t.equal(await service.line(), 'draining 0');
  await receiver.command('resume');
  t.match((await receiver.until(/READY|STOPPING/)).text, /^READY=1/);
  t.match((await receiver.until(/READY|STOPPING/)).text, /^STOPPING=1/);
});

t.test('an upgrade succeeds when the manager has room for MAINPID= again', async (t) => {
  const receiver = await receive(t);
  const service = await startUpgradable(t, {
    options: { port: 0, host: '127.0.0.1' },
    env: { NOTIFY_SOCKET: receiver.address },
  });
  service.behave('slow');
  await receiver.until(/^READY/);
  const upgraded = upgrade(service.pid);
  await receiver.until(/RELOADING/);
  await receiver.fill();
  t.match(await service.line(), /^listening \d+/, 'the successor is ready, and the manager does not read');
  await receiver.command('resume');
  t.match((await receiver.until(/MAINPID/)).text, /READY=1/);
  t.match(await upgraded, { exitCode: 0 });
});

t.test('an upgrade fails in time when the manager does not read, and everything goes on', async (t) => {
  const receiver = await receive(t);
  const service = activateModule(
    t,
    `import { serve } from 'listenfds';
    const { setTimeout: later } = globalThis;
    globalThis.setTimeout = (run, ms, ...rest) => later(run, ms === 15_000 ? 300 : ms, ...rest);
    const { listening } = await serve((request, response) => response.end('pid ' + process.pid), {
      port: 0,
      host: '127.0.0.1',
      upgrade: true,
    });
    console.log('serves', listening[0].address.port);`,
    { env: { NOTIFY_SOCKET: receiver.address } },
  );
  const port = Number(/^serves (\d+)$/.exec(await service.line())![1]);
  await receiver.until(/^READY/);
  const upgraded = upgrade(service.pid);
  await receiver.until(/RELOADING/);
  await receiver.fill();
  t.match(await upgraded, { exitCode: 1, stderr: /no room for 15000 ms/ });
  t.equal(await get({ host: '127.0.0.1', port, agent: false }), `pid ${service.pid}`);
  await receiver.command('resume');
  t.match((await receiver.until(/READY/)).text, /^READY=1\nSTATUS=Upgrade failed, going on as before/);
});

/** A service whose successor is ready and waits for a manager that does not read to be told of it. */
async function startUpgrade(t: Test) {
  const receiver = await receive(t);
  const service = activateModule(
    t,
    `import { serve } from 'listenfds';
    const { listening, signal } = await serve((request, response) => response.end('pid ' + process.pid), {
      port: 0,
      host: '127.0.0.1',
      upgrade: true,
    });
    signal.addEventListener('abort', () => console.log('stopping ' + process.pid));
    console.log('serves', listening[0].address.port, process.pid);`,
    { env: { NOTIFY_SOCKET: receiver.address } },
  );
  const serves = async (): Promise<number[]> => (await service.line()).split(' ').slice(1).map(Number);
  const [port] = await serves();
  await receiver.until(/^READY/);
  const upgraded = upgrade(service.pid);
  await receiver.until(/RELOADING/);
  await receiver.fill();
  const [, successor] = await serves();
  t.teardown(() => isAlive(successor!) && process.kill(successor!, 'SIGKILL'));
  const parent = parentOf(successor!);
  // It has been looked at, and is no child of the service any more.
  while (parentOf(successor!) === parent) await sleep(10);
  return { receiver, service, port: port!, successor: successor!, upgraded };
}

const parentOf = (pid: number): string => /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!;

t.test('a stop while MAINPID= waits for room ends the successor, and MAINPID= is not said any more', async (t) => {
  const { receiver, service, successor, upgraded } = await startUpgrade(t);
  process.kill(service.pid, 'SIGTERM');
  t.equal(await service.line(), `stopping ${service.pid}`);
  await receiver.command('resume');
  t.match((await receiver.until(/MAINPID|STOPPING/)).text, /^STOPPING=1/);
  t.match(await upgraded, { exitCode: 1, stderr: /The service is stopping/ });
  t.equal(await exitOf(service), 0);
  t.notOk(isAlive(successor), 'a manager that waits for the main process alone finds nobody to kill');
});

t.test('a successor that ends while MAINPID= waits for room is none, and everything goes on', async (t) => {
  const { receiver, service, port, successor, upgraded } = await startUpgrade(t);
  process.kill(successor, 'SIGTERM');
  t.equal(await service.line(), `stopping ${successor}`);
  t.match(await upgraded, { exitCode: 1, stderr: /said that it ends right after it was ready/ });
  t.equal(await get({ host: '127.0.0.1', port, agent: false }), `pid ${service.pid}`);
  await receiver.command('resume');
  t.match((await receiver.until(/MAINPID|READY/)).text, /^READY=1\nSTATUS=Upgrade failed, going on as before/);
});

for (const [what, message] of [
  ['is too long', `${'/a/b must be string; '.repeat(250)}`],
  ['is too long and not ASCII', '€'.repeat(3000)],
  ['has control characters', 'a\rb\u001b[31mc'],
] as const) {
  t.test(`a reload ends with READY=1 when the message of the error ${what}`, async (t) => {
    const receiver = await receive(t);
    const service = await start(t, { NOTIFY_SOCKET: receiver.address, RELOAD: 'fail', RELOAD_ERROR: message });
    await receiver.until(/^READY/);
    process.kill(service.pid, 'SIGHUP');
    const { text } = await receiver.until(/^READY/);
    t.match(text, /STATUS=Reload failed, going on as before: \S/);
    t.ok(Buffer.byteLength(text) < 1100, `${Buffer.byteLength(text)} bytes`);
    t.notMatch(text, /\uFFFD|(?!\n)\p{Cc}/u, 'whole characters, in one line');
  });
}

for (const errno of [45_012, 1.5, Number.MAX_SAFE_INTEGER]) {
  t.test(`the manager hears of an uncaught error whose errno is ${errno}`, async (t) => {
    const receiver = await receive(t);
    const service = await start(t, { NOTIFY_SOCKET: receiver.address });
    const path = `/crash?error=${encodeURIComponent(JSON.stringify({ errno }))}`;
    await get({ port: service.port, path }).catch(() => {});
    t.match((await receiver.until(/Failed/)).text, /STATUS=Failed: crashed on request\nEXIT_STATUS=1$/);
  });
}

t.test('a reload that never ends has failed after a minute, and the next one runs', async (t) => {
  const receiver = await receive(t);
  const service = activateModule(
    t,
    `import { serve } from 'listenfds';
    const { setTimeout: later } = globalThis;
    globalThis.setTimeout = (run, ms, ...rest) => later(run, ms > 30_000 ? ms / 200 : ms, ...rest); // a minute is 300 ms
    let reloads = 0;
    await serve((request, response) => response.end(), {
      port: 0,
      onReload: () => (console.log('reload', (reloads += 1)), reloads === 1 ? new Promise(() => {}) : undefined),
    });`,
    { env: { NOTIFY_SOCKET: receiver.address } },
  );
  await receiver.until(/^READY/);
  process.kill(service.pid, 'SIGHUP');
  t.equal(await service.line(), 'reload 1');
  t.match(
    (await receiver.until(/^READY/)).text,
    /STATUS=Reload failed, going on as before: onReload\(\) did not finish within/,
  );
  process.kill(service.pid, 'SIGHUP');
  t.equal(await service.line(), 'reload 2');
  t.notMatch((await receiver.until(/^READY/)).text, /failed/);
});
