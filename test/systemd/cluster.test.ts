// A cluster under Type=notify: the primary speaks to the manager for all workers, whoever may be heard (NotifyAccess=).
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { get } from '../support/http.js';
import { load } from '../support/load.ts';
import { freePort } from '../support/port.ts';
import { commandLine, execStart, withSystemd, withoutSystemd, type Lab } from '../support/systemd.ts';

const skip = withoutSystemd();

interface Case {
  readonly access: 'main' | 'all';
  readonly policy: 'rr' | 'none';
  readonly socket: 'TCP' | 'unix' | 'own';
  readonly kill?: string;
}

/** Boots a cluster of two workers, which are up and ready. */
async function withCluster(
  { access, policy, socket, kill = 'control-group' }: Case,
  body: (lab: Lab, at: { port: number } | { socketPath: string }) => Promise<void>,
): Promise<void> {
  const port = await freePort();
  const place = socket === 'unix' ? '/run/web.sock' : `127.0.0.1:${port}`;
  const target = socket === 'unix' ? { path: place } : { port, host: '127.0.0.1' };
  const how = commandLine(`CLUSTER=${JSON.stringify({ primary: 'library', worker: 'library', policy, target })}`);
  const settings = `Type=notify\nNotifyAccess=${access}\nTimeoutStartSec=20\nWatchdogSec=3\nKillMode=${kill}\nLimitCORE=0\n`;
  const units = {
    ...(socket === 'own' ? {} : { 'web.socket': `[Socket]\nListenStream=${place}\n` }),
    'web.service': `[Service]\n${settings}Environment=${how}\nExecStart=${execStart('cluster.mjs')}\n`,
  };
  await withSystemd({ units, start: socket === 'own' ? ['web.service'] : ['web.socket'] }, async (lab) => {
    await lab.systemctl('start', 'web.service');
    await lab.logged(/"ready"/);
    await body(lab, socket === 'unix' ? { socketPath: lab.path(place) } : { port });
  });
}

async function isTheSame(t: Test, lab: Lab, pid: string): Promise<void> {
  t.equal(await lab.property('web.service', 'ActiveState'), 'active');
  t.equal(await lab.property('web.service', 'MainPID'), pid);
  t.equal(await lab.property('web.service', 'NRestarts'), '0');
}

for (const one of [
  { access: 'main', policy: 'rr', socket: 'TCP' },
  { access: 'all', policy: 'rr', socket: 'own' },
  { access: 'all', policy: 'none', socket: 'unix' },
] as const) {
  const { access, policy, socket } = one;
  t.test(`ready, recycled, watched: NotifyAccess=${access}, ${policy}, ${socket}`, { skip }, async (t) => {
    await withCluster(one, async (lab, at) => {
      const pid = await lab.property('web.service', 'MainPID');
      t.match(await lab.property('web.service', 'StatusText'), /^[12] workers?: 0 active, 0 accepted, 0 refused$/);
      const clients = 'port' in at ? load({ port: at.port, expected: /^[0-9]+$/ }) : null;
      await lab.systemctl('kill', '--kill-whom=main', '--signal=SIGUSR2', 'web.service');
      await lab.logged(/"replaced"/);
      await clients?.more(20);
      await clients?.stop();
      t.strictSame(clients?.failures ?? [], []);
      await isTheSame(t, lab, pid);
      await sleep(4_500); // longer than WatchdogSec=
      await isTheSame(t, lab, pid);
      t.match(await get(at), /^[0-9]+$/);
      if (clients) {
        while (!/: \d+ active, [1-9]\d* accepted/.test(await lab.property('web.service', 'StatusText')))
          await sleep(100);
      }
    });
  });
}

for (const kill of ['control-group', 'mixed']) {
  t.test(`a stop waits for what workers answer: KillMode=${kill}`, { skip }, async (t) => {
    await withCluster({ access: 'main', policy: 'rr', socket: 'TCP', kill }, async (lab, at) => {
      const answer = get({ ...at, path: '/slow' });
      await lab.logged(/"slow"/);
      await lab.systemctl('stop', 'web.service');
      t.match(await answer, /^[0-9]+$/);
      t.equal(await lab.property('web.service', 'Result'), 'success');
    });
  });
}

t.test('one worker whose event loop stands still is enough for the watchdog', { skip }, async (t) => {
  await withCluster({ access: 'main', policy: 'rr', socket: 'TCP' }, async (lab, at) => {
    get({ ...at, path: '/hang' }).catch(() => {});
    await lab.logged(/Watchdog timeout \(limit 3s\)/);
    t.equal(await lab.property('web.service', 'Result'), 'watchdog');
  });
});
