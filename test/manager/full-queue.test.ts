// A manager that does not read, with a queue that has no room: what has to be answered is waited for, and nothing stands still.
import { closeSync, fstatSync, openSync } from 'node:fs';
import { notifyBarrier, removeStoredFds, storeFds } from 'listenfds';
import t from 'tap';
import { temporaryFolder } from '../support/folder.ts';
import { receive } from '../support/receiver.ts';

// They read the variable of this process.
t.jobs = 1;
const { env } = process;
t.afterEach(() => delete env['NOTIFY_SOCKET']);

t.test('storeFds() waits for room while the event loop turns, and stores what was meant', async (t) => {
  const receiver = await receive(t);
  env['NOTIFY_SOCKET'] = receiver.address;
  await receiver.fill();
  const folder = temporaryFolder(t);
  const fd = openSync(folder, 'r');
  const meant = String(fstatSync(fd).ino);
  let settled = false;
  const stored = storeFds('one', [fd]).finally(() => (settled = true));
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(settled, false);
  // Somebody else's file may have that number by the time there is room.
  closeSync(fd);
  const other = openSync('/dev/null', 'r');
  t.equal(other, fd);
  await receiver.command('resume');
  t.match(await receiver.until(/FDSTORE=1/), { text: 'FDSTORE=1\nFDNAME=one', fds: [{ inode: meant }] });
  t.equal(await stored, true);
  closeSync(other);
});

t.test('what comes first is said first', async (t) => {
  const receiver = await receive(t);
  env['NOTIFY_SOCKET'] = receiver.address;
  await receiver.fill();
  const all = [removeStoredFds('one'), notifyBarrier(), removeStoredFds('two')];
  await receiver.command('resume');
  t.same(await Promise.all(all), [true, true, true]);
  const said: string[] = [];
  while (said.length < 3) said.push((await receiver.until(/FDSTOREREMOVE|BARRIER/)).text);
  t.same(said, ['FDSTOREREMOVE=1\nFDNAME=one', 'BARRIER=1', 'FDSTOREREMOVE=1\nFDNAME=two']);
});

t.test('each fails by its own deadline, with a code and without a descriptor left', async (t) => {
  const receiver = await receive(t);
  env['NOTIFY_SOCKET'] = receiver.address;
  await receiver.fill();
  const fd = openSync('/dev/null', 'r');
  const before = openSync('/dev/null', 'r'); // the lowest number that is free
  closeSync(before);
  const expected = { code: 'LISTENFDS_TIMEOUT', message: /has had no room for \d+ ms: it does not read NOTIFY_SOCKET/ };
  const began = performance.now();
  await Promise.all([
    t.rejects(storeFds('one', [fd], { timeout: 100 }), expected),
    t.rejects(removeStoredFds('one', { timeout: 100 }), expected),
    t.rejects(notifyBarrier({ timeout: 100 }), expected),
  ]);
  t.ok(performance.now() - began >= 100);
  closeSync(fd);
  const after = openSync('/dev/null', 'r');
  t.ok(after <= before, `${after} after ${before}`);
  closeSync(after);
  await receiver.command('resume');
  t.equal(await notifyBarrier(), true, 'and nothing of it is said later');
  t.match((await receiver.until(/^(?!X_OTHER)/)).text, /^BARRIER=1$/);
});

t.test('a manager that does not read keeps nothing from another one', async (t) => {
  const deaf = await receive(t);
  const hears = await receive(t);
  await deaf.fill();
  const late = notifyBarrier({ env: { NOTIFY_SOCKET: deaf.address } });
  t.equal(await notifyBarrier({ env: { NOTIFY_SOCKET: hears.address } }), true);
  await deaf.command('resume');
  t.equal(await late, true);
});
