// The life of a service under a real manager: reload, restart and idle exit lose nothing; limits are what they are.
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { execStart, withSystemd, withoutSystemd } from '../support/systemd.ts';

const skip = withoutSystemd();

const quick = 'StartLimitIntervalSec=0\n';
const socket = (port: number, more = ''): string =>
  `[Socket]\nListenStream=127.0.0.1:${port}\nTriggerLimitIntervalSec=0\n${more}`;
const service = (options: object, more = ''): string =>
  `[Unit]\n${quick}[Service]\nType=notify\nEnvironment='SERVE_OPTIONS=${JSON.stringify(options)}'\n${more}ExecStart=${execStart('serve.js')}\n`;

/** One request on a connection of its own; the pid that answered. Any failure is a lost request. */
async function pidOf(port: number): Promise<number> {
  return Number(/^pid (\d+)/.exec(await get(port))?.[1]);
}

t.test('systemctl reload waits for the reload, and the service goes on', { skip }, async (t) => {
  const port = await freePort();
  const reload = 'ExecReload=kill -HUP $MAINPID\n';
  const units = {
    'web.socket': socket(port),
    'web.service': service({}, `Environment=RELOAD=yes\n${reload}`),
    'bad.socket': socket(await freePort()),
    'bad.service': service({}, `Environment=RELOAD=fail\n${reload}`),
  };
  await withSystemd({ units }, async (lab) => {
    const pid = await pidOf(port);
    await lab.systemctl('reload', 'web.service');
    await lab.logged(/^.*reload$/m);
    t.equal(await pidOf(port), pid);
    t.match(await lab.property('web.service', 'StatusText'), /accepted/);

    await lab.systemctl('start', 'bad.service');
    await lab.systemctl('reload', 'bad.service');
    await lab.logged(/Reload failed, going on as before/);
    t.equal(await lab.property('bad.service', 'ActiveState'), 'active');
    t.equal(await lab.property('bad.service', 'StatusText'), 'Reload failed, going on as before: bad configuration');
  });
});

t.test(
  'a restart under load loses no request, and each client waits at most for drain and boot',
  { skip },
  async (t) => {
    const port = await freePort();
    const units = { 'web.socket': socket(port), 'web.service': service({}) };
    await withSystemd({ units }, async (lab) => {
      const pids = new Set<number>();
      let running = true;
      let answered = 0;
      const client = async (): Promise<void> => {
        while (running) {
          pids.add(await pidOf(port));
          answered += 1;
        }
      };
      await pidOf(port);
      const clients = Promise.all([client(), client(), client(), client()]);
      for (let i = 0; i < 5; i++) {
        await lab.systemctl('restart', 'web.service');
        const before = answered;
        while (answered < before + 20) await sleep(5);
      }
      running = false;
      await clients; // a lost request would have rejected
      t.ok(pids.size >= 6, `${answered} requests, answered by ${pids.size} processes`);
    });
  },
);

const exits = 200;

t.test(
  `a connection at the moment of an idle exit is answered by the next start, ${exits} times`,
  { skip, timeout: 240_000 },
  async (t) => {
    const idleTimeout = 40;
    const names = ['a', 'b', 'c', 'd'];
    const ports = await Promise.all(names.map(() => freePort()));
    const units = Object.fromEntries(
      names.flatMap((name, i) => [
        [`${name}.socket`, socket(ports[i]!)],
        [`${name}.service`, service({ idleTimeout })],
      ]),
    );
    await withSystemd({ units }, async (lab) => {
      let left = exits;
      let answered = 0;
      const client = async (port: number): Promise<void> => {
        let last = await pidOf(port);
        while (left > 0) {
          // The exit comes 40 to 60 ms after the last request; the next one is aimed at it.
          await sleep(idleTimeout - 4 + Math.random() * 24);
          const pid = await pidOf(port); // a lost request rejects
          answered += 1;
          if (pid !== last) left -= 1;
          last = pid;
        }
      };
      await Promise.all(ports.map(client));
      t.ok(answered >= exits, `${answered} requests over ${exits} exits`);
      t.notMatch(lab.log(), /Failed with result/);
    });
  },
);

t.test('five starts in ten seconds fail the socket, as docs/troubleshooting.md says', { skip }, async (t) => {
  const port = await freePort();
  const crash = '[Service]\nExecStart=/bin/false\n';
  const units = { 'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`, 'web.service': crash };
  await withSystemd({ units }, async (lab) => {
    await t.rejects(
      (async () => {
        for (;;) await pidOf(port);
      })(),
      { code: /ECONNRESET|ECONNREFUSED/ },
    );
    await lab.logged(/web\.socket: Failed with result 'service-start-limit-hit'|web\.socket: Failed with result/);
    await t.rejects(pidOf(port), { code: 'ECONNREFUSED' });
    t.equal(await lab.property('web.socket', 'ActiveState'), 'failed');
    t.match(await lab.property('web.socket', 'Result'), /service-start-limit-hit|trigger-limit-hit/);
    await lab.systemctl('reset-failed', 'web.service', 'web.socket');
    await lab.systemctl('start', 'web.socket');
    t.equal(await lab.property('web.socket', 'ActiveState'), 'active', 'a reset and a start bring it back');
  });
});
