// Socket activation into a container: `listenfds run` opens the socket and starts podman, podman passes it on, the program is
// process 1 in there and has no network of its own.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { root } from './support/activate.ts';
import { Run } from './support/cli.ts';
import { temporaryFolder } from './support/folder.ts';
import { getJson } from './support/http.ts';
import { unless, without } from './support/tools.ts';

const skip = without('podman', 'unshare') || unless(process.getuid!() === 0, 'needs root');

t.test('a container gets the socket and says READY=1', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  // No image: a root directory that has this machine's /usr.
  for (const part of ['usr', 'proc', 'sys', 'dev', 'tmp', 'run', 'etc', 'app']) mkdirSync(join(folder, part));
  for (const part of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${part}`, join(folder, part));
  writeFileSync(
    join(folder, 'app/app.mjs'),
    `import { readdirSync } from 'node:fs';
     import { serve } from 'listenfds';
     const app = (_request, response) =>
       response.end(JSON.stringify({ pid: process.pid, devices: readdirSync('/sys/class/net') }));
     await serve(app, { name: 'web', activation: 'required' });`,
  );
  const mounts = ['/usr:/usr:ro', `${root}:/app/node_modules/listenfds:ro`];
  if (!process.execPath.startsWith('/usr/'))
    mounts.push(`${dirname(process.execPath)}:${dirname(process.execPath)}:ro`);
  const limits = ['nofile=1024:1024', 'nproc=1000:1000', 'memlock=65536:65536'];
  const options = ['--rm', '--network=none', '--cgroups=disabled'];
  for (const limit of limits) options.push('--ulimit', limit);
  for (const mount of mounts) options.push('--volume', mount);
  const podman = [
    'podman',
    '--cgroup-manager=cgroupfs',
    'run',
    ...options,
    '--rootfs',
    folder,
    process.execPath,
    '/app/app.mjs',
  ];
  // crun wants control groups of version 2 and nothing else.
  const onlyVersion2 = 'umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec "$@"';
  const run = new Run(t, ['-l', 'web=127.0.0.1:0', '--', ...podman], {
    env: { HOME: '/root' },
    through: ['unshare', '--mount', 'sh', '-c', onlyVersion2, 'sh'],
  });
  const port = await run.port();
  t.match(await getJson(port), { pid: 1, devices: ['lo'] });
  await run.says(/is ready after/);
  process.kill(run.program.pid, 'SIGTERM');
  t.match(await run.program.ended, { code: 0 });
});
