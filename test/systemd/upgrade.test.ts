// Upgrades under a real manager: systemctl reload succeeds and fails with them, and what the unit is stays what it is.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { get } from '../support/http.js';
import { root } from '../support/activate.ts';
import { freePort } from '../support/port.ts';
import { commandLine, execStart, withSystemd, withoutSystemd, type Lab } from '../support/systemd.ts';

const skip = withoutSystemd();

const reload = `ExecReload=${commandLine(process.execPath, join(root, 'dist/cli.js'), 'upgrade')} $MAINPID\n`;
const options = (more: object): string => `Environment='SERVE_OPTIONS=${JSON.stringify(more)}'\n`;

interface Web {
  lab: Lab;
  port: number;
  mainPid(): Promise<number>;
  /** Who answers. */
  pid(): Promise<number>;
  /** What the next successors do; see fixtures/upgrade.js. */
  behave(behaviour: string): void;
}

/** A socket and a service that upgrades itself at systemctl reload; the body comes once it runs. */
async function withWeb(settings: string, body: (web: Web) => Promise<void>): Promise<void> {
  const port = await freePort();
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
    'web.service': `[Service]\nType=notify\n${options({})}${settings}Environment=BEHAVIOUR=/run/behaviour\n${reload}ExecStart=${execStart('upgrade.js')}\n`,
  };
  await withSystemd({ units }, async (lab) => {
    const behave = (behaviour: string): void => writeFileSync(lab.path('/run/behaviour'), behaviour);
    behave('');
    const pid = async (): Promise<number> => Number(/^pid (\d+)/.exec(await get(port))?.[1]);
    const mainPid = async (): Promise<number> => Number(await lab.property('web.service', 'MainPID'));
    await pid();
    await body({ lab, port, mainPid, pid, behave });
  });
}

t.test('systemctl reload is an upgrade, as often as one likes: no start limit counts it', { skip }, async (t) => {
  await withWeb('', async ({ lab, mainPid, pid }) => {
    const pids = new Set([await mainPid()]);
    for (let i = 1; i <= 7; i++) {
      await lab.systemctl('reload', 'web.service');
      const main = await mainPid();
      t.equal(await pid(), main, 'the main process is the one that answers');
      pids.add(main);
      t.equal(pids.size, i + 1, 'and it is a new one');
    }
    t.equal(await lab.property('web.service', 'ActiveState'), 'active');
    t.equal(await lab.property('web.service', 'NRestarts'), '0');
    t.match(await lab.property('web.service', 'StatusText'), /active, \d+ accepted/, 'which speaks for itself');
    await lab.systemctl('stop', 'web.service');
    t.equal(await lab.property('web.service', 'Result'), 'success');
  });
});

t.test(
  'control group and private /tmp stay, a request in flight is answered by the old process',
  { skip },
  async (t) => {
    // The checkout may be below a /tmp that the service does not see.
    await withWeb(`PrivateTmp=yes\nBindReadOnlyPaths=${root}\n`, async ({ lab, port, mainPid }) => {
      const facts = async (): Promise<string[]> => {
        const pid = await mainPid();
        const { stdout } = await lab.run('sh', '-c', `readlink /proc/${pid}/ns/mnt; cat /proc/${pid}/cgroup`);
        return stdout.split('\n');
      };
      const [before, old] = [await facts(), await mainPid()];
      const slow = get({ host: '127.0.0.1', port, path: '/slow?ms=1500' });
      await get(port);
      await lab.systemctl('reload', 'web.service');
      t.not(await mainPid(), old);
      t.same(await facts(), before);
      t.equal(await slow, `slow ${old}\n`);
    });
  },
);

t.test('where the upgrade fails, so does systemctl reload, and the status says why', { skip }, async (t) => {
  await withWeb('', async ({ lab, mainPid, pid, behave }) => {
    const old = await mainPid();
    for (const [behaviour, why] of [
      ['crash', /The successor \(pid \d+\) ended with status 1 before it was ready/],
      ['killed', /The successor \(pid \d+\) ended by SIGKILL before it was ready/],
    ] as const) {
      behave(behaviour);
      const { code, stderr } = await lab.run('systemctl', 'reload', 'web.service');
      t.not(code, 0);
      t.match(stderr, /Job for web.service failed/);
      t.equal(await mainPid(), old);
      t.equal(await pid(), old, 'the old process goes on serving');
      t.equal(await lab.property('web.service', 'ActiveState'), 'active');
      t.match(await lab.property('web.service', 'StatusText'), why);
    }
    behave('');
    await lab.systemctl('reload', 'web.service');
    t.not(await mainPid(), old);
  });
});

t.test('Type=exec: with NotifyAccess=main systemd follows, and without it nothing is given up', { skip }, async (t) => {
  await withWeb('Type=exec\nNotifyAccess=main\n', async ({ lab, mainPid, pid }) => {
    for (let i = 0; i < 2; i++) {
      const old = await mainPid();
      await lab.systemctl('reload', 'web.service');
      await lab.run('sh', '-c', `while [ -e /proc/${old} ]; do sleep 0.05; done`);
      t.not(await mainPid(), old);
      t.equal(await pid(), await mainPid());
    }
    t.equal(await lab.property('web.service', 'ActiveState'), 'active');
    await lab.systemctl('stop', 'web.service');
    t.equal(await lab.property('web.service', 'Result'), 'success');
  });
  await withWeb('Type=exec\n', async ({ lab, mainPid, pid }) => {
    const old = await mainPid();
    t.not((await lab.run('systemctl', 'reload', 'web.service')).code, 0);
    t.match(lab.log(), /Nobody would follow an upgrade: systemd cannot be told of the new process/);
    t.equal(await pid(), old);
    t.equal(await lab.property('web.service', 'ActiveState'), 'active');
  });
});

t.test('the watchdog watches the successor', { skip }, async (t) => {
  const settings = 'WatchdogSec=1\nWatchdogSignal=KILL\nRestart=on-watchdog\nRestartSec=0\n';
  await withWeb(settings, async ({ lab, mainPid, pid }) => {
    await lab.systemctl('reload', 'web.service');
    const successor = await mainPid();
    await sleep(2500); // more than twice the timeout is the least that shows it
    t.equal(await pid(), successor, 'it gives its signs of life');
    t.equal(await lab.property('web.service', 'NRestarts'), '0');
    await lab.run('kill', '-STOP', String(successor));
    await lab.logged(/Watchdog timeout \(limit 1s\)/);
    t.not(await pid(), successor, 'and is started again when it hangs');
    t.equal(await lab.property('web.service', 'NRestarts'), '1');
  });
});

t.test('after an upgrade a stop waits for the requests in flight, and an exit is noticed', { skip }, async (t) => {
  await withWeb('Restart=on-failure\nRestartSec=0\n', async ({ lab, port, mainPid, pid }) => {
    await lab.systemctl('reload', 'web.service');
    // systemd kills a main process that is not its child right after the SIGTERM, and does not see it end.
    t.notMatch(lab.log(), /is not our child/);
    const killed = await mainPid();
    await lab.run('kill', '-KILL', String(killed));
    await lab.logged(/web\.service: Main process exited, code=killed, status=9\/KILL/);
    t.not(await pid(), killed);
    await lab.systemctl('reload', 'web.service');
    const successor = await mainPid();
    const slow = get({ host: '127.0.0.1', port, path: '/slow?ms=1000' });
    t.equal(await pid(), successor);
    const stopped = lab.systemctl('stop', 'web.service');
    t.equal(await slow, `slow ${successor}\n`);
    await stopped;
    t.equal(await lab.property('web.service', 'Result'), 'success');
  });
});

t.test('a stop while the old process still drains ends neither before its requests', { skip }, async (t) => {
  // KillMode=control-group, the default: both processes get the SIGTERM.
  await withWeb('', async ({ lab, port, mainPid }) => {
    const old = await mainPid();
    const slow = get({ host: '127.0.0.1', port, path: '/slow?ms=2500' });
    await get(port);
    await lab.systemctl('reload', 'web.service');
    const stopped = lab.systemctl('stop', 'web.service');
    t.equal(await slow, `slow ${old}\n`);
    await stopped;
    t.equal(await lab.property('web.service', 'Result'), 'success');
  });
});

t.test(
  'blue and green: the next instance is started, and when it is ready the other one leaves',
  { skip },
  async (t) => {
    const port = await freePort();
    const units = {
      'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\nService=web@blue.service\n`,
      // As in docs/zero-downtime.md.
      'web@.service':
        `[Service]\nType=notify\nSockets=web.socket\n${options({})}ExecStart=${execStart('serve.js')}\n` +
        `ExecStartPost=/bin/sh -c 'case %i in blue) systemctl stop --no-block web@green;; green) systemctl stop --no-block web@blue;; esac'\n`,
    };
    await withSystemd({ units }, async (lab) => {
      let running = true;
      const answered = new Set<string>();
      await get(port);
      const clients = [1, 2, 3].map(async () => {
        while (running) answered.add(await get(port)); // a lost request rejects
      });
      const state = (instance: string): Promise<string> => lab.property(`web@${instance}.service`, 'ActiveState');
      await lab.systemctl('start', 'web@blue'); // it answers before its ExecStartPost= has ended
      t.equal(await state('blue'), 'active');

      const broken = lab.path('/run/lab/web@green.service.d');
      mkdirSync(broken);
      writeFileSync(join(broken, 'broken.conf'), '[Service]\nExecStart=\nExecStart=/bin/false\n');
      await lab.systemctl('daemon-reload');
      t.not((await lab.run('systemctl', 'start', 'web@green')).code, 0, 'a version that does not start is told');
      t.equal(await state('green'), 'failed');
      t.equal(await state('blue'), 'active', 'and the old one goes on');
      rmSync(broken, { recursive: true });
      await lab.systemctl('daemon-reload');
      const failed = lab.log().length;

      await change(t, lab, 'green', 'blue');
      await change(t, lab, 'blue', 'green');
      running = false;
      await Promise.all(clients);
      t.ok(answered.size >= 3, `${answered.size} processes answered`);
      t.notMatch(lab.log().slice(failed), /Failed with result/);
    });
  },
);

async function change(t: Test, lab: Lab, to: string, from: string): Promise<void> {
  await lab.systemctl('start', `web@${to}`);
  while ((await lab.property(`web@${from}.service`, 'ActiveState')) !== 'inactive') await sleep(20);
  t.equal(await lab.property(`web@${to}.service`, 'ActiveState'), 'active', `${to} serves`);
}
