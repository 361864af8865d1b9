// READY=1 and the watchdog of programs that only call listen(): nobody else would speak for them, and systemd would kill them.
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { root } from '../support/activate.ts';
import { getJson } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { commandLine, execStart, withSystemd, withoutSystemd } from '../support/systemd.ts';

const skip = withoutSystemd();

const moduleStart = (source: string): string =>
  `WorkingDirectory=${root}\nExecStart=${commandLine(process.execPath, '--input-type=module', '--eval', source.replaceAll('\n', ' '))}\n`;

for (const kind of ['TCP', 'unix', 'bound by itself'] as const) {
  t.test(`listen() alone is ready, and lives past its start timeout and its watchdog: ${kind}`, { skip }, async (t) => {
    const port = await freePort();
    const place = kind === 'unix' ? '/run/web.sock' : `127.0.0.1:${port}`;
    const settings = 'Type=notify\nTimeoutStartSec=4\nWatchdogSec=2\nRestart=no\n';
    const units = {
      ...(kind === 'bound by itself' ? {} : { 'web.socket': `[Socket]\nListenStream=${place}\n` }),
      'web.service': `[Service]\n${settings}ExecStart=${execStart('web.js', String(port))}\n`,
    };
    await withSystemd({ units, start: kind === 'bound by itself' ? ['web.service'] : ['web.socket'] }, async (lab) => {
      await lab.systemctl('start', 'web.service');
      const pid = await lab.property('web.service', 'MainPID');
      await sleep(5_000);
      t.equal(await lab.property('web.service', 'ActiveState'), 'active');
      t.equal(await lab.property('web.service', 'MainPID'), pid);
      t.match(await getJson(kind === 'unix' ? { socketPath: lab.path(place) } : port), { pid: Number });
    });
  });
}

t.test('a program that speaks for itself is not spoken for', { skip }, async (t) => {
  const port = await freePort();
  const warming = `
    import { listen, notify } from 'listenfds';
    notify({ status: 'warming up' });
    await listen((request, response) => response.end('{}'), ${port});
    process.on('SIGUSR1', () => notify({ ready: true }));
    setTimeout(() => console.log('two seconds later'), 2000);`;
  const half = `
    import { listen } from 'listenfds';
    await listen((request, response) => response.end('{}'), { name: 'one' });
    process.on('SIGUSR1', () => listen((request, response) => response.end('{}'), { name: 'two' }));
    setTimeout(() => console.log('two seconds later'), 2000);`;
  const socket = (name: string, at: number): string =>
    `[Socket]\nListenStream=127.0.0.1:${at}\nFileDescriptorName=${name}\nService=web.service\n`;
  for (const [source, what] of [
    [warming, 'says its status'],
    [half, 'has not taken everything'],
  ] as const) {
    const other = await freePort();
    const units = {
      'one.socket': socket('one', port),
      ...(source === half ? { 'two.socket': socket('two', other) } : {}),
      'web.service': `[Service]\nType=notify\n${moduleStart(source)}`,
    };
    await withSystemd({ units }, async (lab) => {
      const started = lab.systemctl('start', 'web.service');
      await lab.logged(/two seconds later/);
      t.equal(await lab.property('web.service', 'ActiveState'), 'activating', what);
      await lab.systemctl('kill', '--signal=SIGUSR1', 'web.service');
      await started;
      t.equal(await lab.property('web.service', 'ActiveState'), 'active');
    });
  }
});
