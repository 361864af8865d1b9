// examples/fleet: a rolling upgrade of three instances behind HAProxy, under load, by the example's own script.
import { spawnSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { activate, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { without } from '../support/tools.ts';
import { withoutSystemd } from '../support/systemd.ts';

const folder = join(root, 'examples/fleet');

t.test(
  'no request fails, and HAProxy sends none twice',
  { skip: without('haproxy') || withoutSystemd() },
  async (t) => {
    const command = [process.execPath, join(root, 'bench/main.js'), 'fleet', '--rounds', '1', '--json'];
    const { code, stdout, stderr } = await activate(t, command).ended;
    t.equal(code, 0, stderr);
    for (const name of ['web1', 'web2', 'web3']) t.match(stderr, new RegExp(`${name} is back after`));
    const rows = JSON.parse(stdout) as { metric: string; ours: number; met: boolean }[];
    t.match(rows, [{ metric: /^failed of \d{3,} requests, 1 rolling upgrades/ }, { metric: /HAProxy sent again/ }]);
    for (const { metric, ours } of rows) t.equal(ours, 0, `${metric}\n${stderr}`);
  },
);

t.test('HAProxy finds no fault with its configuration', { skip: without('haproxy') }, (t) => {
  const { status, stdout, stderr } = spawnSync('haproxy', ['-c', '-f', join(folder, 'haproxy.cfg')], {
    encoding: 'utf8',
  });
  t.equal(status, 0, stdout + stderr);
  t.notMatch(stdout + stderr, /WARNING|ALERT/);
  t.end();
});

t.test('systemd finds no fault with the units', { skip: without('systemd-analyze') }, (t) => {
  const copies = temporaryFolder(t);
  for (const file of readdirSync(folder).filter((file) => file.startsWith('web@'))) {
    copyFileSync(join(folder, file), join(copies, file));
  }
  const service = join(copies, 'web@.service');
  writeFileSync(service, readFileSync(service, 'utf8').replace('/usr/bin/node', process.execPath));
  const units = ['web@1.socket', 'web@1.service'].map((unit) => join(copies, unit));
  const env = { PATH: process.env['PATH'] ?? '', HOME: copies };
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', ...units], { encoding: 'utf8', env });
  t.equal(status, 0, stderr);
  t.notMatch(stderr, copies);
  t.end();
});
