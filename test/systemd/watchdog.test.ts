// The watchdog of systemd, with WatchdogSec=1.
import t from 'tap';
import { Notifier, unit, units } from '../support/notifier.ts';
import { withSystemd, withoutSystemd, type Lab } from '../support/systemd.ts';

const skip = withoutSystemd();
const settings = units('Type=notify', 'WatchdogSec=1', 'Restart=on-watchdog', 'RestartSec=0', 'LimitCORE=0');

async function started(lab: Lab): Promise<Notifier> {
  await lab.systemctl('start', '--no-block', unit);
  const program = await Notifier.find(lab);
  await program.do('watchdog');
  await program.tell({ ready: true });
  return program;
}

t.test(
  'a service whose event loop hangs is started again, a healthy one under full load is not',
  { skip },
  async (t) => {
    await withSystemd(settings, async (lab) => {
      const program = await started(lab);
      const pid = await program.do('pid');
      // Four threads want the processors for three times the timeout; the event loop still gets its turns.
      await program.do('load', 4, 3000);
      t.equal(await program.do('pid'), pid);
      t.equal(await lab.property(unit, 'MainPID'), String(pid));
      t.equal(await lab.property(unit, 'NRestarts'), '0');
      t.notMatch(lab.log(), /Watchdog timeout/);

      const before = lab.log().length;
      program.say('hang');
      await lab.logged(/Watchdog timeout \(limit 1s\)/, before);
      const next = await Notifier.find(lab, before);
      program.end();
      t.not(await next.do('pid'), pid);
      t.equal(await lab.property(unit, 'NRestarts'), '1');
      next.end();
    });
  },
);

t.test('so is one that says it is not well', { skip }, async (t) => {
  await withSystemd(settings, async (lab) => {
    const program = await started(lab);
    const before = lab.log().length;
    await program.do('ill');
    await lab.logged(/ListenFdsWarning: The health check says no/, before);
    await lab.logged(/Watchdog timeout \(limit 1s\)/, before);
    const next = await Notifier.find(lab, before);
    program.end();
    t.equal(await lab.property(unit, 'NRestarts'), '1');

    // WATCHDOG=trigger does not wait for the timeout.
    await next.tell({ ready: true, watchdogTimeout: 600_000 });
    const then = lab.log().length;
    next.say('notify', { watchdog: 'trigger' });
    (await Notifier.find(lab, then)).end();
    next.end();
    t.equal(await lab.property(unit, 'NRestarts'), '2');
  });
});
