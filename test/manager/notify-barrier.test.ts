import { readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { notify, notifyBarrier } from 'listenfds';
import t from 'tap';
import { resultOf } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { receive } from '../support/receiver.ts';

/** How many ends of pipes are open; what else comes and goes with the receivers are sockets. */
function pipes(): number {
  const isPipe = (fd: string): boolean => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('pipe:');
    } catch {
      return false; // the folder's own
    }
  };
  return readdirSync('/proc/self/fd').filter(isPipe).length;
}

t.test('without a manager the barrier resolves with false', async (t) => {
  t.equal(await notifyBarrier({ env: {} }), false);
  t.equal(await notifyBarrier({ env: { NOTIFY_SOCKET: '' } }), false);
});

t.test('it goes alone with one descriptor, and ends when the manager has closed that', async (t) => {
  const receiver = await receive(t, join(temporaryFolder(t), 'notify'));
  const env = { NOTIFY_SOCKET: receiver.address };
  notify({ status: 'before' }, { env });
  const before = pipes();
  await receiver.command('hold');
  let passed = false;
  const barrier = notifyBarrier({ env }).then((result) => {
    passed = true;
    return result;
  });
  t.equal((await receiver.message()).text, 'STATUS=before');
  const message = await receiver.message();
  t.equal(message.text, 'BARRIER=1');
  t.match(message.fds, [{ type: 0o1 }], 'a FIFO');
  t.equal(passed, false, 'the manager still has it');
  await receiver.command('release');
  t.equal(await barrier, true);
  t.equal(pipes(), before);
});

t.test('many barriers at once leave no descriptor behind', async (t) => {
  const receiver = await receive(t, `@${temporaryFolder(t)}`);
  const env = { NOTIFY_SOCKET: receiver.address };
  await notifyBarrier({ env });
  const before = pipes();
  t.same(
    await Promise.all(Array.from({ length: 50 }, () => notifyBarrier({ env }))),
    Array.from({ length: 50 }, () => true),
  );
  t.equal(pipes(), before);
});

t.test('a manager that takes too long rejects the barrier with a timeout', async (t) => {
  const receiver = await receive(t, join(temporaryFolder(t), 'notify'));
  const env = { NOTIFY_SOCKET: receiver.address };
  notify({ status: 'before' }, { env });
  const before = pipes();
  await receiver.command('hold');
  await t.rejects(notifyBarrier({ timeout: 20, env }), {
    code: 'LISTENFDS_TIMEOUT',
    message: /did not work through its messages within 20 ms/,
  });
  t.equal(pipes(), before);
  await receiver.command('release');
  t.equal(await notifyBarrier({ timeout: Infinity, env }), true, 'and the next one is not confused by it');
});

t.test('a manager that is gone ends the barrier, or fails the next', async (t) => {
  const path = join(temporaryFolder(t), 'notify');
  const env = { NOTIFY_SOCKET: path };
  const receiver = await receive(t, path);
  notify({ status: 'before' }, { env });
  await receiver.message();
  const before = pipes();
  await receiver.command('pause');
  const barrier = notifyBarrier({ env });
  await receiver.close();
  t.equal(await barrier, true, 'one that dies closes its copy, as in C');
  await t.rejects(notifyBarrier({ env }), { code: 'ECONNREFUSED', syscall: 'sendmsg' });
  rmSync(path);
  await t.rejects(notifyBarrier({ env }), { code: 'ENOENT' });
  await t.rejects(notifyBarrier({ env: { NOTIFY_SOCKET: 'nonsense' } }), { code: 'LISTENFDS_BAD_ENVIRONMENT' });
  await t.rejects(notifyBarrier({ env: { NOTIFY_SOCKET: 'vsock:1:1' } }), { code: 'LISTENFDS_UNSUPPORTED' });
  t.equal(pipes(), before);
});

t.test('a timeout that is none is refused', async (t) => {
  for (const timeout of [0, -1, NaN, '5', 2 ** 31]) {
    await t.rejects(notifyBarrier({ timeout: timeout as number, env: {} }), {
      code: 'LISTENFDS_BAD_OPTION',
      message: /timeout is .*, but must be/,
    });
  }
});

t.test('the event loop turns while it waits, and the process lives until it is passed', async (t) => {
  const receiver = await receive(t, join(temporaryFolder(t), 'notify'));
  await receiver.command('hold');
  const source = `import { notifyBarrier } from 'listenfds';
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    timer.unref();
    notifyBarrier().then((passed) => console.log(JSON.stringify({ passed, turns })));`;
  const result = resultOf(t, source, { env: { NOTIFY_SOCKET: receiver.address } });
  await receiver.message();
  await new Promise((resolve) => setTimeout(resolve, 100));
  await receiver.command('release');
  const { passed, turns } = await result;
  t.equal(passed, true);
  t.ok(turns > 2, `the loop turned ${turns} times`);
});
