// What a program bound itself, through an upgrade: the new program's configuration counts, nothing that is dropped is listened
// on any more, and the last one of the family ends as the first one would have.
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { type Test } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { gone } from '../support/processes.ts';
import { exitOf, listening, start, upgrade, type Upgradable } from '../support/upgradable.ts';

interface Told {
  pid: number;
  sockets: { address: { port: number } | string; source: string; origin: string }[];
  warnings: string[];
}

/** A service whose configuration is a file: a list of targets. */
async function configured(
  t: Test,
  targets: readonly unknown[],
): Promise<Upgradable & { configure(to: unknown): void }> {
  const file = join(temporaryFolder(t), 'targets.json');
  const configure = (to: unknown): void => writeFileSync(file, JSON.stringify(to));
  configure(targets);
  const service = await start(t, { program: 'upgrade-configured.js', env: { TARGETS: file } });
  return Object.assign(service, { configure });
}

const told = async (service: Upgradable): Promise<Told> => JSON.parse(await service.line()) as Told;

/** What the app at a port says: the port it was meant for; the error's code where nobody listens. */
const said = (port: number, host = '127.0.0.1'): Promise<string> =>
  get({ port, host, path: '/' }).catch(({ code }: NodeJS.ErrnoException) => code!);

async function next(service: Upgradable, pid: number): Promise<Told> {
  t.match(await upgrade(pid), { exitCode: 0 });
  await listening(service);
  return told(service);
}

t.test('a port that has changed is bound, the old one is let go', async (t) => {
  const [first, second] = [await freePort(), await freePort()];
  const service = await configured(t, [{ port: first, host: '127.0.0.1' }]);
  t.match(await told(service), { sockets: [{ source: 'bound', origin: 'self' }] });
  service.configure([{ port: second, host: '127.0.0.1' }]);
  const after = await next(service, service.pid);
  t.match(after, { sockets: [{ address: { port: second }, source: 'bound', origin: 'self' }], warnings: [] });
  t.equal(await exitOf(service), 0);
  t.same([await said(first), await said(second)], ['ECONNREFUSED', String(second)]);
});

t.test('a port that was dropped is refused, one that stays is never', async (t) => {
  const [first, second, third] = [await freePort(), await freePort(), await freePort()];
  const at = (port: number): object => ({ port, host: '127.0.0.1' });
  const service = await configured(t, [at(first), at(second)]);
  await told(service);
  service.configure([at(second)]);
  const one = await next(service, service.pid);
  t.match(one, { sockets: [{ address: { port: second }, source: 'inherited', origin: 'predecessor' }], warnings: [] });
  t.equal(await exitOf(service), 0);
  t.same([await said(first), await said(second)], ['ECONNREFUSED', String(second)]);
  service.configure([at(third), at(second)]);
  const two = await next(service, one.pid);
  t.match(
    two.sockets.map(({ origin }) => origin),
    ['self', 'predecessor'],
  );
  t.same([await said(second), await said(third)], [String(second), String(third)], 'each app at its own port');
});

t.test('an address that was narrowed or widened is bound beside the old one', async (t) => {
  for (const [from, to] of [
    ['0.0.0.0', '127.0.0.1'],
    ['127.0.0.1', '0.0.0.0'],
    [undefined, '127.0.0.1'],
    ['127.0.0.1', undefined],
  ]) {
    const port = await freePort();
    const service = await configured(t, [{ port, host: from }]);
    await told(service);
    service.configure([{ port, host: to }]);
    const after = await next(service, service.pid);
    const address = { port, address: to ?? '::' };
    t.match(after, { sockets: [{ address, source: 'bound', origin: 'self' }], warnings: [] }, `${from} to ${to}`);
    t.equal(await exitOf(service), 0);
    t.equal(await said(port), String(port));
    t.equal(await said(port, '127.0.0.2'), to === '127.0.0.1' ? 'ECONNREFUSED' : String(port));
  }
});

t.test('two servers on any free port keep theirs', async (t) => {
  const [web, admin] = [
    { port: 0, host: '127.0.0.1', name: 'web' },
    { port: 0, host: '127.0.0.1', name: 'admin' },
  ];
  const service = await configured(t, [web, admin]);
  const before = await told(service);
  service.configure([admin, web]);
  const after = await next(service, service.pid);
  t.same(
    after.sockets.map(({ address }) => address),
    before.sockets.map(({ address }) => address).reverse(),
  );
  t.match(after.sockets, [{ origin: 'predecessor' }, { origin: 'predecessor' }]);
});

t.test('without names it is the host they asked for that tells them apart', async (t) => {
  const [one, other] = [
    { port: 0, host: '127.0.0.1' },
    { port: 0, host: '127.0.0.2' },
  ];
  const service = await configured(t, [one, other]);
  const before = await told(service);
  service.configure([other, one]);
  const after = await next(service, service.pid);
  t.same(
    after.sockets.map(({ address }) => address),
    before.sockets.map(({ address }) => address).reverse(),
  );
  t.same(after.warnings, []);
});

for (const kind of ['tcp', 'unix'] as const) {
  t.test(`the last of the family answers what waits in its queue, over ${kind}`, async (t) => {
    const path = join(temporaryFolder(t), 's');
    const port = await freePort();
    const target = kind === 'unix' ? { path } : { port, host: '127.0.0.1' };
    const service = await configured(t, [target]);
    await told(service);
    const { pid } = await next(service, service.pid);
    t.equal(await exitOf(service), 0);
    if (kind === 'unix') t.ok(existsSync(path), 'the path is the successor’s');
    // It does not accept while its event loop stands still; the stop comes first.
    const blocker = connect(kind === 'unix' ? { path } : { port, host: '127.0.0.1' });
    blocker.write('GET /block HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(blocker, 'data');
    const clients = Array.from({ length: 60 }, () => {
      const place = kind === 'unix' ? { socketPath: path } : { port, host: '127.0.0.1' };
      return get({ ...place, path: '/', agent: false }).catch(({ code }: NodeJS.ErrnoException) => code!);
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    process.kill(pid, 'SIGTERM');
    const answers = await Promise.all(clients);
    blocker.destroy();
    t.same([...new Set(answers)], [kind === 'unix' ? 'null' : String(port)]);
    await gone(pid);
    if (kind === 'unix') t.notOk(existsSync(path), 'and it removes it at its stop');
  });
}

t.test('nothing would start it again, so it does not leave when it is idle', async (t) => {
  const service = await start(t, { options: { port: 0, host: '127.0.0.1', idleTimeout: '200ms' } });
  t.match(await upgrade(service.pid), { exitCode: 0 });
  const { pid, port } = await listening(service);
  t.equal(await exitOf(service), 0);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  t.equal(await said(port), `pid ${pid}\n`);
});
