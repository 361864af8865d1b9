// The lab itself: that labs do not disturb each other, and that nothing of one stays.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { getJson } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { execStart, withSystemd, withoutSystemd, type Lab } from '../support/systemd.ts';

const skip = withoutSystemd();

async function web(body: (lab: Lab, port: number) => Promise<void>): Promise<void> {
  const port = await freePort();
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
    'web.service': `[Service]\nExecStart=${execStart('web.js', String(port))}\n`,
  };
  await withSystemd({ units }, (lab) => body(lab, port));
}

t.test('stopping a service in one lab leaves the one of the same name in another alone', { skip }, async (t) => {
  await web(async (one, onePort) => {
    await web(async (two, twoPort) => {
      await getJson(onePort);
      const { pid } = await getJson(twoPort);
      await one.systemctl('stop', 'web.socket', 'web.service');
      t.equal(await two.property('web.service', 'MainPID'), String(pid));
      t.equal((await getJson(twoPort)).pid, pid);
    });
  });
});

t.test('a lab ends with the process that uses it, however that ends', { skip }, async (t) => {
  const port = await freePort();
  const units = { 'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n` };
  const script = `
    import { withSystemd } from ${JSON.stringify(new URL('../support/systemd.ts', import.meta.url).href)};
    await withSystemd(${JSON.stringify({ units })}, async (lab) => {
      console.log(lab.pid);
      await new Promise(() => {});
    });`;
  const owner = spawn(process.execPath, [...process.execArgv, '--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [pid] = (await once(createInterface(owner.stdout), 'line')) as [string];
  t.match(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '--unit=lab-up.service');
  owner.kill('SIGKILL');
  // There is no event for the end of somebody else's child.
  while (existsSync(`/proc/${pid}`)) await delay(10);
  await t.rejects(getJson(port), { code: 'ECONNREFUSED' });
});
