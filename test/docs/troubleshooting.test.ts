// docs/troubleshooting.md: the faults that no other test makes, and what systemd says of them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { withSystemd, withoutSystemd } from '../support/systemd.ts';

const page = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8');

t.test('a service does not start, or clients are cut off', { skip: withoutSystemd() }, async (t) => {
  const port = await freePort();
  const units = {
    'accept.socket': `[Socket]\nListenStream=127.0.0.1:${port}\nAccept=yes\n`,
    'accept.service': '[Service]\nExecStart=/bin/true\n',
    'exec.service': '[Service]\nType=exec\nExecStart=/no/such/node\n',
    'chdir.service': '[Service]\nType=exec\nWorkingDirectory=/no/such/folder\nExecStart=/bin/true\n',
    'user.service': '[Service]\nType=exec\nUser=no-such-user\nExecStart=/bin/true\n',
    'failure.service': '[Service]\nType=oneshot\nExecStart=/bin/false\n',
  };
  await withSystemd({ units }, async (lab) => {
    for (const [unit, status] of [
      ['exec', '203/EXEC'],
      ['chdir', '200/CHDIR'],
      ['user', '217/USER'],
      ['failure', '1/FAILURE'],
    ] as const) {
      await t.rejects(lab.systemctl('start', `${unit}.service`), unit);
      const { stdout } = await lab.run('systemctl', 'status', `${unit}.service`);
      t.match(stdout, `status=${status}`);
      t.match(page, `\`status=${status}\``);
    }
    await t.rejects(get({ host: '127.0.0.1', port }), { code: 'ECONNRESET' });
    await lab.logged(/accept\.socket: Failed with result 'resources'/);
    t.match(page, '`Result: resources`');
  });
});
