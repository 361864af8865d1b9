import { join } from 'node:path';
import { booted, watchdogEnabled } from 'listenfds';
import { lstatSync } from 'node:fs';
import t from 'tap';
import { activateModule } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import * as insides from '../../dist/insides.js';
import { receive } from '../support/receiver.ts';

const { startWatchdog } = insides;

t.test('WATCHDOG_USEC and WATCHDOG_PID are read as C reads them', (t) => {
  const table: [env: Record<string, string>, expected: number | null | string][] = [
    [{}, null],
    [{ WATCHDOG_PID: '7' }, null],
    [{ WATCHDOG_USEC: '30000000' }, 30_000],
    [{ WATCHDOG_USEC: '1500500', WATCHDOG_PID: '7' }, 1500.5],
    [{ WATCHDOG_USEC: '1', WATCHDOG_PID: '8' }, null],
    [{ WATCHDOG_USEC: '0' }, 'WATCHDOG_USEC'],
    [{ WATCHDOG_USEC: '18446744073709551615' }, 'WATCHDOG_USEC'],
    [{ WATCHDOG_USEC: '18446744073709551616' }, 'WATCHDOG_USEC'],
    [{ WATCHDOG_USEC: 'infinity' }, 'WATCHDOG_USEC'],
    [{ WATCHDOG_USEC: '' }, null],
    [{ WATCHDOG_USEC: '5000', WATCHDOG_PID: '' }, 5],
    [{ WATCHDOG_USEC: '-5' }, 'WATCHDOG_USEC'],
    // As in C: the first variable is read first, whoever it is for.
    [{ WATCHDOG_USEC: '0', WATCHDOG_PID: '8' }, 'WATCHDOG_USEC'],
    [{ WATCHDOG_USEC: '5', WATCHDOG_PID: 'x' }, 'WATCHDOG_PID'],
    [{ WATCHDOG_USEC: '5', WATCHDOG_PID: '0' }, 'WATCHDOG_PID'],
  ];
  for (const [env, expected] of table) {
    const says = JSON.stringify(env);
    if (typeof expected !== 'string') t.equal(watchdogEnabled({ env, pid: 7 }), expected, says);
    else {
      t.throws(() => watchdogEnabled({ env, pid: 7 }), { code: 'LISTENFDS_BAD_ENVIRONMENT', variable: expected }, says);
    }
  }
  t.equal(watchdogEnabled({ env: { WATCHDOG_USEC: '5000', WATCHDOG_PID: String(process.pid) } }), 5);
  t.end();
});

t.test('booted() looks for the folder that systemd makes', (t) => {
  const status = lstatSync('/run/systemd/system', { throwIfNoEntry: false });
  t.equal(booted(), status?.isDirectory() === true);
  t.end();
});

t.test('signs of life come by themselves, until they are stopped', async (t) => {
  const receiver = await receive(t, join(temporaryFolder(t), 'notify'));
  const env = { NOTIFY_SOCKET: receiver.address, WATCHDOG_USEC: '20000' };
  const stop = startWatchdog({ env });
  const keep = setInterval(() => {}, 1000); // the signs of life do not
  for (let i = 0; i < 5; i++) t.equal((await receiver.message()).text, 'WATCHDOG=1');
  clearInterval(keep);
  stop();
  stop();
});

t.test('startWatchdog() does nothing when no manager expects pings', (t) => {
  startWatchdog({ env: {}, healthy: () => t.fail('nobody asked') as never })();
  for (const interval of [0, -1, 5, 6, NaN]) {
    t.throws(() => startWatchdog({ env: { WATCHDOG_USEC: '5000' }, interval }), {
      code: 'LISTENFDS_BAD_OPTION',
      message: /interval is .*, but must be/,
    });
  }
  t.end();
});

t.test('they keep no process alive', async (t) => {
  const receiver = await receive(t, join(temporaryFolder(t), 'notify'));
  const program = activateModule(
    t,
    `import { startWatchdog } from 'listenfds';
    startWatchdog();`,
    { env: { NOTIFY_SOCKET: receiver.address, WATCHDOG_USEC: '60000000' } },
  );
  t.equal((await receiver.message()).text, 'WATCHDOG=1');
  t.match(await program.ended, { code: 0, stderr: '' });
});

t.test('none is sent while the service is not well, and the reason is told once', async (t) => {
  const receiver = await receive(t, join(temporaryFolder(t), 'notify'));
  const env = { NOTIFY_SOCKET: receiver.address, WATCHDOG_USEC: '10000' };
  const warnings: string[] = [];
  const listener = (warning: Error): unknown => warning.name === 'ListenFdsWarning' && warnings.push(warning.message);
  process.on('warning', listener);
  t.teardown(() => process.off('warning', listener));
  const keep = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(keep));

  const answers: (() => boolean | Promise<boolean>)[] = [
    () => true,
    () => false,
    () => Promise.resolve(false),
    () => {
      throw new Error('no database');
    },
    () => Promise.reject(new Error('no database')),
    () => 'yes' as never,
    () => Promise.resolve(true),
  ];
  let turns = 0;
  let over: () => void;
  const done = new Promise<void>((resolve) => (over = resolve));
  const stop = startWatchdog({
    env,
    healthy() {
      const answer = answers[turns++];
      if (answer) return answer();
      over();
      return new Promise(() => {}); // hangs
    },
  });
  await done;
  stop();
  t.equal((await receiver.message()).text, 'WATCHDOG=1');
  t.equal((await receiver.message()).text, 'WATCHDOG=1');
  insides.startWatchdog({ env: { ...env, WATCHDOG_USEC: '60000000' } })();
  insides.notify({ status: 'end' }, { env });
  t.equal((await receiver.message()).text, 'STATUS=end', 'two of the turns were well, and after stop() comes nothing');
  t.same(warnings, [
    'The health check says no: the service manager gets no sign of life',
    'The health check failed (Error: no database): the service manager gets no sign of life',
    'The health check says no: the service manager gets no sign of life',
  ]);
});

t.test('a check that hangs is waited for, and told', async (t) => {
  const receiver = await receive(t, join(temporaryFolder(t), 'notify'));
  const env = { NOTIFY_SOCKET: receiver.address, WATCHDOG_USEC: '10000' };
  let asked = 0;
  let answer: (well: boolean) => void;
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  const stop = startWatchdog({
    env,
    healthy() {
      asked += 1;
      return new Promise<boolean>((resolve) => (answer = resolve));
    },
  });
  const keep = setInterval(() => {}, 1000);
  t.match(await warned, { name: 'ListenFdsWarning', message: /has not answered in 5 ms/ });
  t.equal(asked, 1);
  answer!(true);
  t.equal((await receiver.message()).text, 'WATCHDOG=1');
  clearInterval(keep);
  stop();
});

t.test('a manager that cannot be reached is a warning, and tried again', async (t) => {
  const path = join(temporaryFolder(t), 'notify');
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  const keep = setInterval(() => {}, 1000);
  const stop = startWatchdog({ env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '20000' } });
  t.match(await warned, { name: 'ListenFdsWarning', message: /could not be sent: ENOENT/ });
  const receiver = await receive(t, path);
  t.equal((await receiver.message()).text, 'WATCHDOG=1');
  clearInterval(keep);
  stop();
});
