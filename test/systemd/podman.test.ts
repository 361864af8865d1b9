// The stop of a container under systemd, as a quadlet has it stopped: podman waits as long as a drain may take.
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';
import { cli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { commandLine, withSystemd, withoutSystemd } from '../support/systemd.ts';
import { without } from '../support/tools.ts';

const skip = process.env['LAB_ROOT'] ? 'podman is not in that system' : without('podman') || withoutSystemd();

const source = `import { serve } from 'listenfds';
await serve((request, response) => {
  if (request.url === '/slow') console.error('got it');
  setTimeout(() => response.end('answered'), request.url === '/slow' ? 14_000 : 0);
}, { name: 'web', activation: 'required' });
`;

t.test('a request that takes longer than podman’s own ten seconds is answered', { skip }, async (t) => {
  const folder = realpathSync(temporaryFolder(t));
  const system = join(folder, 'system');
  for (const part of ['usr', 'proc', 'sys', 'dev', 'tmp', 'run', 'etc', 'app']) {
    mkdirSync(join(system, part), { recursive: true });
  }
  for (const part of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${part}`, join(system, part));
  writeFileSync(join(system, 'app/app.mjs'), source);
  const quadlet = await cli(t, ['unit', '--name', 'web', '--quadlet', 'web', '-l', '3000', 'node', 'app.mjs']);
  const line = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(quadlet.stdout)![1]!;
  const mounts = ['/usr:/usr:ro', `${root}:/app/node_modules/listenfds:ro`, `${dirname(process.execPath)}:/node:ro`];
  const podman = ['/usr/bin/podman', '--cgroup-manager=cgroupfs'];
  // As its generator writes them (test/cli/quadlet.test.ts), but for --cgroups and where the output goes.
  const options = ['--name', 'systemd-web', '--cidfile=/run/web.cid', '--replace', '--rm', '--cgroups=disabled'];
  options.push('--network', 'none', '--sdnotify=container', '-d', '--log-driver=passthrough', '--read-only');
  options.push('--security-opt=no-new-privileges', '--cap-drop', 'all');
  for (const limit of ['nofile=1024:1024', 'nproc=1000:1000', 'memlock=65536:65536']) options.push('--ulimit', limit);
  for (const mount of mounts) options.push('--volume', mount);
  const start = [...podman, 'run', ...options, line('PodmanArgs'), '--rootfs', system, '/node/node', '/app/app.mjs'];
  const stop = commandLine(...podman, 'rm', '-v', '-f', '-i', '--cidfile=/run/web.cid');
  // What it sets by default is read-only in the lab.
  const configuration = join(folder, 'containers.conf');
  writeFileSync(configuration, '[containers]\ndefault_sysctls = []\n');
  const port = await freePort();
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\nFileDescriptorName=web\n`,
    // As podman-systemd.unit(5) writes it.
    'web.service':
      `[Service]\nType=notify\nNotifyAccess=all\nKillMode=mixed\nTimeoutStopSec=${line('TimeoutStopSec')}\nEnvironment=HOME=/root CONTAINERS_CONF=${configuration}\n` +
      `ExecStart=${commandLine(...start)}\nExecStop=${stop}\nExecStopPost=-${stop}\n`,
  };
  await withSystemd({ units, bind: [folder] }, async (lab) => {
    t.equal(await get({ host: '127.0.0.1', port }), 'answered');
    const slow = get({ host: '127.0.0.1', port, path: '/slow' });
    await lab.logged(/^got it/m);
    await lab.systemctl('stop', 'web.service');
    t.equal(await slow, 'answered');
    t.equal(await lab.property('web.service', 'Result'), 'success');
  });
});
