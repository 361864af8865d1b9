// On musl, in a root folder without glibc: the package adopts, serves, notifies and upgrades on every Node.js, and on Bun what
// Bun can. The file of the addon is the one that glibc gets.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { majors } from '../../scripts/node-versions.js';
import { activate, root } from '../support/activate.ts';
import { Run, inCgroup2 } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';
import { get } from '../support/http.js';
import { type MuslRoot, glibcIn, muslContainer, muslRoot, noRoot } from '../support/musl.ts';
import { without } from '../support/tools.ts';
import { receive, type Receiver } from '../support/receiver.ts';

t.setTimeout(600_000); // Node.js is fetched at the first run

async function managerOf(t: Test, { folder }: MuslRoot): Promise<Receiver> {
  mkdirSync(join(folder, 'run'), { recursive: true });
  return receive(t, join(folder, 'run/notify'));
}

for (const major of majors) {
  t.test(`Node.js ${major} on musl: adopts, serves, notifies, upgrades`, { skip: noRoot }, async (t) => {
    const system = await muslRoot(temporaryFolder(t), major, ['upgrade.js']);
    t.same(glibcIn(system.folder), [], 'no glibc');
    const manager = await managerOf(t, system);
    const { fd, port } = await held(t);
    const service = activate(t, [...system.through, system.program, '/app/upgrade.js'], {
      fds: [fd],
      names: ['web'],
      env: {
        ...system.env,
        NOTIFY_SOCKET: '/run/notify',
        BEHAVIOUR: '/dev/null',
        SERVE_OPTIONS: '{"mismatch":"ignore"}',
      },
    });
    t.match(await service.line(), new RegExp(`^listening ${service.pid} .*"port":${port}`));
    t.match(await manager.until(/^READY=1$/m), { pid: service.pid });
    t.equal(await get(port), `pid ${service.pid}\n`);

    process.kill(service.pid, 'SIGUSR2');
    const { text } = await manager.until(/^MAINPID=/m);
    const successor = Number(/^MAINPID=(\d+)$/m.exec(text)![1]);
    t.teardown(() => {
      try {
        process.kill(successor, 'SIGKILL');
      } catch {
        // It has ended.
      }
    });
    t.not(successor, service.pid);
    // Both accept until the old one has been told.
    while ((await get(port)) !== `pid ${successor}\n`);
    process.kill(successor, 'SIGTERM');
    await manager.until(/^STOPPING=1$/m);
    t.match(await service.ended, { code: 0 }, 'the old one has ended, and the new one, which has its output');
  });
}

for (const library of ['musl', 'glibc']) {
  t.test(`253 descriptors in one message, with credentials and without: ${library}`, { skip: noRoot }, async (t) => {
    const folder = temporaryFolder(t);
    const system = await muslRoot(folder, 22, ['many-fds.js']);
    const manager = await managerOf(t, system);
    const [command, within] =
      library === 'musl'
        ? [[...system.through, system.program, '/app/many-fds.js'], '/']
        : [[process.execPath, join(root, 'test/fixtures/many-fds.js')], folder];
    const running = activate(t, [...command, join(within, 'tmp/many')], {
      env: { ...system.env, NOTIFY_SOCKET: join(within, 'run/notify') },
    });
    t.match(await running.json(), { received: 253, controlTruncated: false });
    for (const pid of [running.pid, process.pid]) {
      const message = await manager.message();
      t.match(message, { text: 'FDSTORE=1', pid });
      t.equal(message.fds.length, 253);
    }
  });
}

t.test('the Containerfile of docs/containers.md, and its units', { skip: noRoot || without('podman') }, async (t) => {
  const example = join(root, 'examples/container');
  const folder = temporaryFolder(t);
  // What it copies, in a root folder instead of an image that would have to be pulled.
  const text = readFileSync(join(example, 'Containerfile'), 'utf8');
  const copied = [...text.matchAll(/^COPY (\S+) \S+$/gm)].map(([, file]) => file!);
  t.same(copied, ['package.json', 'node_modules', 'server.js']);
  const { program, command } = await muslContainer(folder, 24);
  for (const file of copied.filter((one) => one !== 'node_modules'))
    cpSync(join(example, file), join(folder, 'app', file));
  const run = new Run(t, ['-l', 'web=127.0.0.1:0', '--', ...command, program, 'server.js'], {
    env: { HOME: '/root' },
    through: inCgroup2,
  });
  t.equal(await get(await run.port()), 'hello from a container\n');
  process.kill(run.program.pid, 'SIGTERM');
  t.match(await run.program.ended, { code: 0 });

  const [line] = readFileSync(join(root, 'docs/containers.md'), 'utf8').match(/^listenfds unit .*$/m)!;
  const printed = spawnSync(process.execPath, [join(root, 'dist/cli.js'), ...line.split(' ').slice(1)], {
    encoding: 'utf8',
  });
  for (const file of ['web.socket', 'web.container']) {
    t.ok(printed.stdout.includes(readFileSync(join(example, file), 'utf8').trimEnd()), file);
  }
});

t.test('Bun on musl: adopts, serves with net.Server, notifies', { skip: noRoot }, async (t) => {
  const system = await muslRoot(temporaryFolder(t), 'bun', ['adopt.js']);
  t.same(glibcIn(system.folder), [], 'no glibc');
  const manager = await managerOf(t, system);
  const { fd, port } = await held(t);
  const running = activate(t, [...system.through, system.program, '/app/adopt.js', '{"mismatch":"ignore"}'], {
    fds: [fd],
    env: { ...system.env, NOTIFY_SOCKET: '/run/notify', SERVER: 'net', REPORT: 'serve' },
  });
  t.match(await running.json(), { source: 'inherited', address: { port } });
  t.match(await manager.until(/^READY=1$/m), { pid: running.pid });
  await running.kill();
});
