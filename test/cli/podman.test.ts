// Socket activation into a container: `listenfds run` opens the socket and starts podman, podman passes it on, the program is
// process 1 in there and has no network of its own.
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { activate, root } from '../support/activate.ts';
import { Run, inCgroup2 } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get, getJson } from '../support/http.js';
import { unless, without } from '../support/tools.ts';

const skip = without('podman', 'unshare') || unless(process.getuid!() === 0, 'needs root');

/** A root directory that has this machine's /usr, for want of an image, and app.mjs. @returns it, and how to run in it */
function container(t: Test, source: string): { folder: string; command: string[] } {
  const folder = temporaryFolder(t);
  for (const part of ['usr', 'proc', 'sys', 'dev', 'tmp', 'run', 'etc', 'app']) mkdirSync(join(folder, part));
  for (const part of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${part}`, join(folder, part));
  writeFileSync(join(folder, 'app/app.mjs'), source);
  const mounts = ['/usr:/usr:ro', `${root}:/app/node_modules/listenfds:ro`];
  if (!process.execPath.startsWith('/usr/'))
    mounts.push(`${dirname(process.execPath)}:${dirname(process.execPath)}:ro`);
  const limits = ['nofile=1024:1024', 'nproc=1000:1000', 'memlock=65536:65536'];
  const options = ['--rm', '--network=none', '--cgroups=disabled'];
  for (const limit of limits) options.push('--ulimit', limit);
  for (const mount of mounts) options.push('--volume', mount);
  return { folder, command: ['podman', '--cgroup-manager=cgroupfs', 'run', ...options, '--rootfs', folder] };
}

t.test('a container gets the socket and says READY=1', { skip }, async (t) => {
  const { command } = container(
    t,
    `import { readdirSync } from 'node:fs';
          import { serve } from 'listenfds';
     const app = (_request, response) =>
       response.end(JSON.stringify({ pid: process.pid, devices: readdirSync('/sys/class/net') }));
     await serve(app, { name: 'web', activation: 'required' });`,
  );
  const run = new Run(t, ['-l', 'web=127.0.0.1:0', '--', ...command, process.execPath, '/app/app.mjs'], {
    env: { HOME: '/root' },
    through: inCgroup2,
  });
  const port = await run.port();
  t.match(await getJson(port), { pid: 1, devices: ['lo'] });
  await run.says(/is ready after/);
  process.kill(run.program.pid, 'SIGTERM');
  t.match(await run.program.ended, { code: 0 });
});

t.test('as process 1 of a container it stays behind upgrades, reaps, and passes signals on', { skip }, async (t) => {
  const { folder, command } = container(
    t,
    `import { spawn } from 'node:child_process';
     import { readdirSync, readFileSync } from 'node:fs';
          import { serve } from 'listenfds';
     const stats = () => readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).map((name) => {
       const text = readFileSync('/proc/' + name + '/stat', 'utf8');
       return { pid: Number(name), state: text.slice(text.lastIndexOf(')') + 2)[0] };
     });
     await serve((request, response) => {
       if (request.url === '/slow') setTimeout(() => response.end('slow ' + process.pid), 1500);
       // A shell that ends before its child does.
       else if (request.url === '/orphan') spawn('sh', ['-c', 'sleep 0.2 & echo $!'], { stdio: ['ignore', 'pipe', 'ignore'] })
         .stdout.once('data', (pid) => response.end(pid));
       else response.end(JSON.stringify({
         pid: process.pid, parent: process.ppid, first: readFileSync('/proc/1/cmdline', 'utf8').split('\\0').slice(1, 3),
         processes: stats(),
       }));
     }, { port: 3000, upgrade: 'SIGHUP' });`,
  );
  const run = ['/app/node_modules/listenfds/dist/cli.js', 'run', '-l', '/app/web.sock', '--now', '--'];
  const podman = activate(t, [...command, process.execPath, ...run, process.execPath, '/app/app.mjs'], {
    env: { HOME: '/root' },
    through: inCgroup2,
  });
  const says = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(podman.stderr)) await once(podman.child.stderr!, 'data');
  };
  await says(/is ready after/);
  const at = { socketPath: join(folder, 'app/web.sock') };

  let { pid, parent, first } = await getJson(at);
  t.same(first, run.slice(0, 2), 'process 1 is listenfds run');
  for (let generation = 1; generation <= 3; generation++) {
    const slow = get({ ...at, path: '/slow' });
    await get(at);
    process.kill(podman.pid, 'SIGHUP');
    await says(new RegExp(`pid ${pid} has handed over to pid`));
    const before = pid;
    while (pid === before) ({ pid, parent } = await getJson(at));
    t.equal(parent, 1, 'the successor is a child of process 1');
    t.equal(await slow, `slow ${before}`, 'the old process answers what it had accepted');
  }

  const orphan = Number(await get({ ...at, path: '/orphan' }));
  t.ok(orphan > 1);
  const others = async (): Promise<unknown[]> =>
    (await getJson<{ processes: { pid: number }[] }>(at)).processes.filter((one) => ![1, pid].includes(one.pid));
  while ((await others()).length > 0) await sleep(50);
  t.pass('old processes, those between them and orphans are gone, none is a zombie');

  const slow = get({ ...at, path: '/slow' });
  await get(at);
  process.kill(podman.pid, 'SIGTERM');
  t.equal(await slow, `slow ${pid}`);
  t.match(await podman.ended, { code: 0 }, 'and the container ends as the last of them');
});

// The base has no Node.js of its own: it is that of the machine.
const withoutNode = skip || unless(process.execPath.startsWith('/usr/'), 'needs a Node.js below /usr');

t.test('the image of docs/containers.md is built and run as the page says', { skip: withoutNode }, async (t) => {
  const folder = temporaryFolder(t);
  const page = readFileSync(join(root, 'docs/containers.md'), 'utf8');
  const block = (language: string): string => new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'm').exec(page)![1]!;
  const places = ['--root', join(folder, 'images'), '--runroot', join(folder, 'state'), '--storage-driver=vfs'];
  const podman = ['--cgroup-manager=cgroupfs', ...places];
  const base = join(folder, 'base');
  for (const part of ['usr', 'proc', 'sys', 'dev', 'tmp', 'run', 'etc'])
    mkdirSync(join(base, part), { recursive: true });
  for (const part of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${part}`, join(base, part));
  const web = join(folder, 'web');
  mkdirSync(join(web, 'node_modules/listenfds'), { recursive: true });
  writeFileSync(join(web, 'Containerfile'), block('dockerfile'));
  writeFileSync(join(web, 'server.js'), block('js'));
  writeFileSync(join(web, 'package.json'), '{ "type": "module" }');
  for (const part of ['package.json', 'dist', 'build'])
    cpSync(join(root, part), join(web, 'node_modules/listenfds', part), { recursive: true });
  const image = /^FROM (\S+)$/m.exec(block('dockerfile'))![1]!;
  const env = { HOME: folder };
  const done = async (command: readonly string[], cwd = folder): Promise<void> => {
    const { code, stderr } = await activate(t, command, { env, cwd, through: inCgroup2 }).ended;
    t.equal(code, 0, stderr);
  };
  await done(['tar', '-C', base, '-cf', join(folder, 'base.tar'), '.']);
  await done(['podman', ...podman, 'import', join(folder, 'base.tar'), image]);
  const build = /^podman build (.*)$/m.exec(page)![1]!.split(' ');
  await done(['podman', ...podman, 'build', '--isolation=chroot', ...build], web);
  const [, address, run] = /^listenfds run -l (\S+) -- podman run (.*)$/m.exec(page)!;
  t.equal(address, '127.0.0.1:3000');
  const limits = ['nofile=1024:1024', 'nproc=1000:1000', 'memlock=65536:65536'].flatMap((one) => ['--ulimit', one]);
  const more = ['--cgroups=disabled', ...limits, '--volume', '/usr:/usr:ro'];
  const command = ['podman', ...podman, 'run', ...more, ...run!.split(' ')];
  const manager = new Run(t, ['-l', '127.0.0.1:0', '--', ...command], { env, through: inCgroup2 });
  t.match(await get(await manager.port()), /^hello from a container/);
  process.kill(manager.program.pid, 'SIGTERM');
  await manager.program.ended;
});
