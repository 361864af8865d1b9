// A stop under systemd with KillMode=mixed, as `listenfds unit` writes it: nobody's request is cut, be it in a child process or
// in the old process of an upgrade.
import t from 'tap';
import { get } from '../support/http.js';
import { command } from '../support/cli.ts';
import { freePort } from '../support/port.ts';
import { commandLine, execStart, withSystemd, withoutSystemd, type Lab } from '../support/systemd.ts';

const skip = withoutSystemd();

async function withService(more: string, body: (lab: Lab, port: number) => Promise<void>): Promise<void> {
  const port = await freePort();
  const reload = commandLine(process.execPath, command, 'upgrade').concat(' $MAINPID');
  const units = {
    'web.service': `[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nKillMode=mixed\n${more}ExecStart=${execStart('stoppable.js', String(port))}\nExecReload=${reload}\n`,
  };
  await withSystemd({ units }, async (lab) => {
    await lab.systemctl('start', 'web.service');
    await body(lab, port);
  });
}

const pidOf = (text: string): number => Number(/(\d+)$/.exec(text)?.[1]);

for (const verb of ['stop', 'restart']) {
  t.test(`${verb}: a request that uses a child process is answered`, { skip }, async (t) => {
    await withService('', async (lab, port) => {
      const answer = get({ port, host: '127.0.0.1', path: '/child?s=1' });
      await lab.logged(/^got \/child/m);
      await lab.systemctl(verb, 'web.service');
      t.match(await answer, /^child \d+$/);
      t.equal(await lab.property('web.service', 'Result'), 'success');
    });
  });

  t.test(
    `${verb} while the old process of an upgrade drains: the stop waits for it, beyond TimeoutStopSec=`,
    { skip },
    async (t) => {
      await withService('TimeoutStopSec=2s\nFileDescriptorStoreMax=16\n', async (lab, port) => {
        const old = pidOf(await get(port));
        const answer = get({ port, host: '127.0.0.1', path: '/?s=6' });
        await lab.logged(/^got \/\?s=6/m);
        await lab.systemctl('reload', 'web.service');
        t.not(pidOf(await get(port)), old);
        await lab.systemctl(verb, 'web.service');
        t.equal(pidOf(await answer), old, 'and is answered by the old process');
        t.equal(await lab.property('web.service', 'Result'), 'success');
      });
    },
  );
}
