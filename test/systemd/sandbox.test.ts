// A sandbox that forbids listen(2) to a service which only gets its socket passed.
import t from 'tap';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { execStart, withSystemd, withoutSystemd } from '../support/systemd.ts';

const skip = withoutSystemd();

for (const kind of ['TCP', 'unix'] as const) {
  for (const [program, args] of [
    ['serve.js', []],
    ['express.js', []],
  ] as const) {
    t.test(`nothing needs listen(2): ${program}, ${kind}`, { skip }, async (t) => {
      const port = await freePort();
      const place = kind === 'unix' ? '/run/web.sock' : `127.0.0.1:${port}`;
      const sandbox = 'SystemCallFilter=~listen\nSystemCallErrorNumber=EPERM\n';
      const units = {
        'web.socket': `[Socket]\nListenStream=${place}\n`,
        'web.service': `[Service]\nType=notify\n${sandbox}ExecStart=${execStart(program, ...args)}\n`,
      };
      await withSystemd({ units }, async (lab) => {
        const at = kind === 'unix' ? { socketPath: lab.path(place) } : { port };
        for (let i = 0; i < 3; i++) t.match(await get(at), /pid|\{/);
        if (program === 'serve.js') {
          const slow = get({ ...at, path: '/slow' });
          await lab.logged(/^slow$/m);
          await lab.systemctl('stop', 'web.service');
          t.equal(await slow, 'slow', 'it drains as elsewhere');
          t.equal(await lab.property('web.service', 'Result'), 'success');
        }
      });
    });
  }
}
