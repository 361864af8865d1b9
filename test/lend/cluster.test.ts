// A cluster: the primary holds what was passed, workers listen through it, under both scheduling policies.
import { once } from 'node:events';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, root, type Activated, type Activation } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';
import { get } from '../support/http.js';
import { load } from '../support/load.ts';
import { gone } from '../support/processes.ts';
import { receive } from '../support/receiver.ts';
import { tcpQueue } from '../support/queues.ts';
import { without } from '../support/tools.ts';

const register = join(root, 'dist/register.js');

interface How {
  readonly primary: 'library' | 'nothing';
  readonly worker: 'library' | 'unmodified' | 'failing';
  readonly policy: 'rr' | 'none';
  readonly preload?: boolean;
  readonly refork?: boolean;
  readonly target?: unknown;
}

function start(t: Test, { preload = false, ...how }: How, activation: Activation): Activated {
  const env = { CLUSTER: JSON.stringify(how), ...activation.env };
  const through = preload ? ['--import', register] : [];
  return activate(t, [process.execPath, ...through, 'test/fixtures/cluster.mjs'], { ...activation, env });
}

/** SIGTERM, for the primary alone and for all of them, ends a cluster when what is in flight has been answered. */
async function answersBeforeItEnds(t: Test, how: Omit<How, 'policy' | 'target'>): Promise<void> {
  for (const policy of ['rr', 'none'] as const) {
    for (const all of [false, true]) {
      const { fd, port } = await held(t);
      const running = start(t, { ...how, policy, target: port }, { fds: [fd] });
      while ((await running.json()) !== 'ready');
      const answer = get({ host: '127.0.0.1', port, path: '/slow' });
      t.equal(await running.json(), 'slow');
      process.kill(all ? -running.pid : running.pid, 'SIGTERM');
      t.match(await answer, /^[0-9]+$/);
      t.match(await running.ended, { code: 0, signal: null, stderr: '' });
    }
  }
}

const ways: How[] = [];
for (const policy of ['rr', 'none'] as const) {
  ways.push({ primary: 'library', worker: 'library', policy });
  ways.push({ primary: 'nothing', worker: 'library', policy, preload: true });
  ways.push({ primary: 'nothing', worker: 'unmodified', policy, preload: true });
}

t.jobs = 2;

for (const how of ways) {
  const { primary, worker, policy, preload = false } = how;
  t.test(`primary: ${primary}, worker: ${worker}, ${policy}${preload ? ', preload' : ''}`, async (t) => {
    const { fd, port } = await held(t);
    const running = start(t, { ...how, target: port }, { fds: [fd], names: ['web'] });
    for (let i = 0; i < 2; i++) {
      const told = await running.json();
      t.match(told.address, { address: '127.0.0.1', port });
      if (worker === 'library') t.match(told, { source: how.preload ? String : 'inherited' });
    }
    t.equal(await running.json(), 'ready');
    const clients = load({ port, expected: /^[0-9]+$/ });
    await clients.more(50);
    running.child.kill('SIGUSR2');
    while ((await running.json()) !== 'replaced');
    await clients.more(50);
    await clients.stop();
    t.strictSame(clients.failures, [], 'replacing every worker under load lost nothing');

    running.child.kill('SIGHUP');
    while ((await running.json()) !== 'back');
    t.match(await get(port), /^[0-9]+$/, 'all workers have left and one has come back');
    const { stderr } = await running.kill('SIGTERM');
    t.equal(stderr, '');
  });
}

t.test('SIGTERM for the primary alone, or for all: with the preload its workers drain first', async (t) => {
  await answersBeforeItEnds(t, { primary: 'nothing', worker: 'unmodified', preload: true });
});

t.test('the backlog stays what the unit says', { skip: without('ss') }, async (t) => {
  for (const how of ways) {
    const running = start(t, { ...how, target: 0x7fff }, { fds: ['tcp("127.0.0.1", 0, 99)'] });
    const { address } = await running.json();
    while ((await running.json()) !== 'ready');
    t.equal(tcpQueue(address.port).backlog, 99, JSON.stringify(how));
    await running.kill();
  }
});

t.test('workers listen on a unix socket, and on the one they name', async (t) => {
  for (const policy of ['rr', 'none'] as const) {
    const path = join(temporaryFolder(t), 'app.sock');
    const how = { primary: 'library', worker: 'library', policy, target: { name: 'two' } } as const;
    const running = start(t, how, { fds: ['tcp()', `unix("${path}")`], names: ['one', 'two'] });
    t.match(await running.json(), { source: 'inherited', name: 'two', address: path });
    while ((await running.json()) !== 'ready');
    t.match(await get(path), /^[0-9]+$/);
    await running.kill();
  }
});

t.test('where an app does not start, the worker has the socket for the next one', async (t) => {
  const { fd, port } = await held(t);
  const how = { primary: 'library', worker: 'failing', policy: 'rr', target: port } as const;
  const running = start(t, how, { fds: [fd] });
  t.strictSame(await running.json(), { message: 'not this time', source: 'inherited' });
  while ((await running.json()) !== 'ready');
  t.match(await get(port), /^[0-9]+$/);
  await running.kill();
});

t.test('a primary that has not consumed is an error in the worker, not a second socket', async (t) => {
  const { fd, port } = await held(t);
  const running = start(t, { primary: 'nothing', worker: 'library', policy: 'rr', target: port }, { fds: [fd] });
  t.match(await running.json(), { code: 'LISTENFDS_CLUSTER_PRIMARY' });
});

t.test('in a worker nobody is upgraded, and nobody leaves for being idle', async (t) => {
  const { fd, port } = await held(t);
  const how = { primary: 'library', worker: 'library', policy: 'rr', target: port } as const;
  const running = start(t, { ...how, upgrade: true, idleTimeout: 50 } as How, { fds: [fd] });
  const codes = [];
  for (let told; (told = await running.json()) !== 'ready';) if (told.code) codes.push(told.code);
  t.strictSame(codes, ['LISTENFDS_UPGRADE_UNFOLLOWED', 'LISTENFDS_UPGRADE_UNFOLLOWED']);
  const pid = Number(await get(port));
  await new Promise((resolve) => setTimeout(resolve, 200));
  process.kill(pid, 0);
  const { stderr } = await running.kill('SIGTERM');
  t.match(stderr, /idleTimeout has no effect: this is a cluster worker/);
});

t.test('a worker whose primary does not speak for it says so', async (t) => {
  const socket = join(temporaryFolder(t), 'notify');
  const how = { primary: 'nothing', worker: 'library', policy: 'rr', target: { port: 0, host: '127.0.0.1' } } as const;
  const running = start(t, how, { env: { NOTIFY_SOCKET: socket } });
  while ((await running.json()) !== 'ready');
  while (!/its primary has to call listenFds\(\)/.test(running.stderr)) await once(running.child.stderr!, 'data');
  t.notMatch(running.stderr, /ENOENT/, 'it has not spoken itself');
  await running.kill();
});

t.test('at SIGTERM a primary without a handler of its own waits for its workers', async (t) => {
  await answersBeforeItEnds(t, { primary: 'library', worker: 'library' });
});

t.test('a worker that hangs is killed at the deadline, and the primary says so', async (t) => {
  const manager = await receive(t);
  const { fd, port } = await held(t);
  const how = { primary: 'library', worker: 'library', policy: 'rr', target: port } as const;
  const env = { NOTIFY_SOCKET: manager.address, LISTENFDS_DRAIN_TIMEOUT: '300ms' };
  const running = start(t, how, { fds: [fd], env });
  while ((await running.json()) !== 'ready');
  get({ host: '127.0.0.1', port, path: '/hang' }).catch(() => {});
  t.equal(await running.json(), 'hangs');
  const started = performance.now();
  process.kill(running.pid, 'SIGTERM');
  const { text } = await manager.until(/STOPPING/);
  t.match(text, /^EXTEND_TIMEOUT_USEC=1[0-3][0-9]{5}$/m, 'no longer than the deadline');
  t.match(await running.ended, { code: 1, stderr: /Workers were killed after 1[0-9]{3} ms: \d+/ });
  t.ok(performance.now() - started < 5_000);
});

for (const policy of ['rr', 'none'] as const) {
  for (const preload of [false, true]) {
    const how = preload
      ? ({ primary: 'nothing', worker: 'unmodified', policy, preload } as const)
      : ({ primary: 'library', worker: 'library', policy } as const);
    t.test(`workers that are forked while it stops are lent nothing: ${JSON.stringify(how)}`, async (t) => {
      const { fd, port } = await held(t);
      const running = start(t, { ...how, refork: true, target: port }, { fds: [fd] });
      while ((await running.json()) !== 'ready');
      const answers = [200, 2_500].map((ms) => get({ host: '127.0.0.1', port, path: `/slow?ms=${ms}` }));
      for (const _ of answers) t.equal(await running.json(), 'slow');
      process.kill(-running.pid, 'SIGTERM');
      const { forked } = await running.json();
      // The workers of before have closed, the queue is the manager's: who comes now waits for who comes next.
      const next = get({ host: '127.0.0.1', port, path: '/' }).catch(({ code }) => code);
      t.match(await Promise.all(answers), [/^[0-9]+$/, /^[0-9]+$/]);
      t.match(await running.ended, { code: 0, signal: null, stderr: '' });
      await gone(forked);
      const following = start(t, { ...how, target: port }, { fds: [fd] });
      t.match(await next, /^[0-9]+$/);
      t.not(await next, String(forked));
      await following.kill();
    });
  }
}

t.test('a worker that says it needs longer is waited for', async (t) => {
  const { fd, port } = await held(t);
  const how = { primary: 'library', worker: 'library', policy: 'rr', target: port } as const;
  const running = start(t, how, { fds: [fd], env: { LISTENFDS_DRAIN_TIMEOUT: '1ms' } });
  while ((await running.json()) !== 'ready');
  const answer = get({ host: '127.0.0.1', port, path: '/slow?ms=2500' });
  t.equal(await running.json(), 'slow');
  process.kill(running.pid, 'SIGTERM');
  t.match(await answer, /^[0-9]+$/);
  t.match(await running.ended, { code: 0, stderr: '' });
});
