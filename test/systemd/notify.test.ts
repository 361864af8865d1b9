// What systemd makes of what it is told.
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';
import { Notifier, unit, units } from '../support/notifier.ts';
import { commandLine, execStart, withSystemd, withoutSystemd } from '../support/systemd.ts';

const skip = withoutSystemd();
t.test('a service is active from READY=1 on, and shows its status', { skip }, async (t) => {
  await withSystemd(units('Type=notify', 'NotifyAccess=all'), async (lab) => {
    await lab.systemctl('start', '--no-block', unit);
    const program = await Notifier.find(lab);
    const state = (): Promise<string> => lab.property(unit, 'ActiveState');
    t.equal(await state(), 'activating');
    t.equal(await program.do('barrier'), true);
    t.equal(await state(), 'activating', 'a barrier is no READY=1');
    await program.tell({ ready: true, status: 'Grüße: 3 = "drei" 50%' });
    t.equal(await state(), 'active');
    t.equal(await lab.property(unit, 'StatusText'), 'Grüße: 3 = "drei" 50%');
    t.match(await lab.systemctl('status', '--no-pager', unit), 'Status: "Grüße: 3 = "drei" 50%"');

    await program.tell({ reloading: true, status: 'again' });
    t.equal(await state(), 'reloading');
    await program.tell({ ready: true });
    t.equal(await state(), 'active');

    await program.tell({ errno: 2, status: '' });
    t.equal(await lab.property(unit, 'StatusErrno'), '2');
    t.equal(await lab.property(unit, 'StatusText'), '');

    const child = await program.do<number>('sleep');
    await program.tell({ mainPid: child });
    t.equal(await lab.property(unit, 'MainPID'), String(child));
    await program.tell({ mainPid: await program.do<number>('pid') });

    await program.tell({ stopping: true });
    t.equal(await state(), 'deactivating');
    program.end();
  });
});

t.test('what the refusals are for', { skip }, async (t) => {
  await withSystemd(units('Type=notify', 'NotifyAccess=all'), async (lab) => {
    await lab.systemctl('start', '--no-block', unit);
    const program = await Notifier.find(lab);
    await program.tell('STATUS=one\rERRNO=5');
    t.equal(await lab.property(unit, 'StatusText'), 'one');
    t.equal(await lab.property(unit, 'StatusErrno'), '5', 'systemd takes a carriage return for the end of a line');

    // We refuse what is too long, so another program sends it.
    const foreign = (errno: number, length: number): Promise<unknown> =>
      program.do('systemd-notify', `STATUS=\nX_=${'x'.repeat(length - 19)}\nERRNO=${errno}`);
    await program.tell({ status: 'x'.repeat(4089) });
    t.equal((await lab.property(unit, 'StatusText')).length, 4089);
    t.equal(await foreign(6, 4096), 4096);
    t.equal(await lab.property(unit, 'StatusErrno'), '6');
    t.equal(await foreign(7, 4097), 4097);
    t.equal(await lab.property(unit, 'StatusErrno'), '6', 'more than 4096 bytes are ignored without a word');
    program.end();
  });
});

t.test('descriptors are stored and given up', { skip }, async (t) => {
  await withSystemd(units('Type=notify', 'FileDescriptorStoreMax=5'), async (lab) => {
    await lab.systemctl('start', '--no-block', unit);
    const program = await Notifier.find(lab);
    const stored = (): Promise<string> => lab.property(unit, 'NFileDescriptorStore');
    const fds = [await program.do('open', '/dev/null'), await program.do('open', '/dev/zero')];
    await program.tell({ ready: true });
    await program.tell({ fdStore: true, fdName: 'nothing', fdPoll: false }, { fds });
    t.equal(await stored(), '2');
    await program.tell({ fdStoreRemove: true, fdName: 'nothing' });
    t.equal(await stored(), '0');
    program.end();
  });
});

t.test('NotifyAccess=main keeps children out of the descriptor store', { skip }, async (t) => {
  const program = `const { notify, storeFds } = await import(${JSON.stringify(join(root, 'dist/index.js'))});
    if (process.env.CHILD) await storeFds('child', [0]);
    else {
      const { spawnSync } = await import('node:child_process');
      spawnSync(process.execPath, ['--input-type=module', '--eval', process.env.SOURCE], { stdio: 'inherit', env: { ...process.env, CHILD: '1' } });
      notify({ ready: true });
      setInterval(() => {}, 60_000);
    }`;
  const service = (access: string): string =>
    `[Service]\nType=notify\nNotifyAccess=${access}\nFileDescriptorStoreMax=4\n` +
    `Environment=${commandLine(`SOURCE=${program.replaceAll('\n', ' ')}`)}\n` +
    `ExecStart=${commandLine(process.execPath, '--input-type=module', '--eval')} \${SOURCE}\n`;
  await withSystemd({ units: { 'main.service': service('main'), 'all.service': service('all') } }, async (lab) => {
    for (const [name, stored] of [
      ['all', '1'],
      ['main', '0'],
    ] as const) {
      await lab.systemctl('start', `${name}.service`);
      t.equal(await lab.property(`${name}.service`, 'NFileDescriptorStore'), stored, name);
    }
  });
});

t.test('a barrier is passed when the manager has read it, not before', { skip }, async (t) => {
  await withSystemd(units('Type=notify'), async (lab) => {
    await lab.systemctl('start', '--no-block', unit);
    const program = await Notifier.find(lab);
    await program.tell({ ready: true });
    process.kill(lab.pid, 'SIGSTOP');
    try {
      await t.rejects(program.do('barrier', { timeout: 50 }), { code: 'LISTENFDS_TIMEOUT' });
    } finally {
      process.kill(lab.pid, 'SIGCONT');
    }
    t.equal(await program.do('barrier'), true);
    program.end();
  });
});

t.test('examples/worker.js is what docs/notify.md says', { skip }, async (t) => {
  const start = execStart('../../examples/worker.js');
  const service = `[Service]\nType=notify\nWatchdogSec=1\nExecStart=${start}\n`;
  await withSystemd({ units: { 'worker.service': service }, start: ['worker.service'] }, async (lab) => {
    t.equal(await lab.property('worker.service', 'ActiveState'), 'active');
    t.not(await lab.property('worker.service', 'WatchdogTimestampMonotonic'), '0');
    await lab.systemctl('stop', 'worker.service');
    t.equal(await lab.property('worker.service', 'Result'), 'success');
    t.match(await lab.property('worker.service', 'StatusText'), /^Stopping after \d+ jobs$/);
  });
});
