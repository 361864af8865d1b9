import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, activateModule, resultOf, type Activated, type Activation } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { inject } from '../support/inject.ts';
import { unless, without } from '../support/tools.ts';

const asRoot = { skip: unless(process.getuid?.() === 0, 'needs root') };

const prelude = `
  import fs from 'node:fs';
  import { createServer } from 'node:net';
    import { listen, listenFds } from 'listenfds';
  const app = () => createServer((socket) => socket.end('served by ' + process.pid));
  const shown = (promise) => promise.then(
    ({ server, ...rest }) => ({ ...rest, own: server.address() }),
    ({ code, message, syscall, address, errno }) => ({ code, message, syscall, address, errno }),
  );
  const close = (server) => new Promise((resolve) => server.close(resolve));
  const report = (value) => console.log(JSON.stringify(value));
  const done = (value) => process.stdout.write(JSON.stringify(value) + '\\n', () => process.exit());
`;

const outcome = (t: Test, target: object | string, activation?: Activation): Promise<any> =>
  resultOf(t, `${prelude} done(await shown(listen(app(), ${JSON.stringify(target)})));`, activation);

const serving = (t: Test, target: object | string, activation?: Activation): Activated =>
  activateModule(t, `${prelude} report(await shown(listen(app(), ${JSON.stringify(target)})));`, activation);

async function answer(path: string): Promise<string> {
  const socket = connect({ path }).setEncoding('utf8');
  let text = '';
  socket.on('data', (data: string) => (text += data));
  await once(socket, 'close');
  return text;
}

/** What SIGKILL leaves behind: a socket file that nobody answers on. */
async function leaveStale(t: Test, path: string): Promise<void> {
  const program = serving(t, path);
  await program.line();
  await program.kill();
  t.ok(lstatSync(path).isSocket(), 'a stale socket');
}

const mode = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

t.test('a unix path gets the mode that was asked for, or that of the umask', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  for (const [target, expected, umask] of [
    [{ path }, '644', '022'],
    [{ path }, '600', '077'],
    [{ path, mode: 0o660 }, '660', '077'],
    [{ path, mode: '0600' }, '600', '000'],
    [{ path, mode: 0 }, '0', '000'],
    [{ path, readableAll: true }, '644', '077'],
    [{ path, readableAll: true, writableAll: true }, '666', '022'],
  ] as const) {
    const program = serving(t, target, { through: ['sh', '-c', `umask ${umask}; exec "$@"`, 'sh'] });
    t.match(await program.json(), { source: 'bound', address: path, own: path });
    t.equal(mode(path), expected, `${JSON.stringify(target)} under umask ${umask}`);
    await program.kill();
  }
  t.same(readdirSync(folder), ['s'], 'nothing else is left');
});

t.test('a unix path gets the user and group that were asked for', asRoot, async (t) => {
  const path = join(temporaryFolder(t), 's');
  const entry = (database: string, name: string): number =>
    Number(spawnSync('getent', [database, name], { encoding: 'utf8' }).stdout.split(':')[2]);
  for (const [target, uid, gid] of [
    [{ user: 'nobody' }, entry('passwd', 'nobody'), 0],
    [{ group: 'daemon' }, 0, entry('group', 'daemon')],
    [{ user: 'nobody', group: 'daemon', mode: 0o660 }, entry('passwd', 'nobody'), entry('group', 'daemon')],
    [{ user: 12345, group: '54321' }, 12345, 54321],
  ] as const) {
    const program = serving(t, { path, ...target });
    t.match(await program.json(), { source: 'bound' });
    const { uid: foundUid, gid: foundGid } = statSync(path);
    t.same([foundUid, foundGid], [uid, gid], JSON.stringify(target));
    await program.kill();
  }
});

t.test('an owner that does not exist is refused before the path is made', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  const unknown = (option: string) => ({
    code: 'LISTENFDS_UNKNOWN_USER',
    message: `There is no ${option} "no-such-name"`,
  });
  t.match(await outcome(t, { path, user: 'no-such-name' }), unknown('user'));
  t.match(await outcome(t, { path, group: 'no-such-name' }), unknown('group'));
  t.same(readdirSync(folder), []);
});

t.test('an owner that the process may not give leaves no path behind', asRoot, async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  spawnSync('chmod', ['777', folder]);
  // The package may be where only root can go, so the program gives up its rights once it has loaded.
  const result = await resultOf(
    t,
    `${prelude}
    await listen(app(), { path: '${path}.first', user: 0 });
    process.setgid(65534);
    process.setuid(65534);
    done(await shown(listen(app(), { path: '${path}', user: 0 })));`,
  );
  t.match(result, { code: 'EPERM', syscall: 'listen', address: path });
  t.notOk(existsSync(path));
});

t.test('a stale socket in the way is replaced, anything else is refused', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  const inUse = { code: 'EADDRINUSE', syscall: 'listen', address: path };

  await leaveStale(t, path);
  const before = lstatSync(path).ino;
  const program = serving(t, path);
  await program.line();
  t.equal(await answer(path), `served by ${program.pid}`, 'a stale socket is replaced');
  t.not(lstatSync(path).ino, before);

  t.match(
    await outcome(t, path),
    { ...inUse, message: /^listen EADDRINUSE: address already in use / },
    'a live one is not',
  );
  t.equal(await answer(path), `served by ${program.pid}`, 'and goes on');
  await program.kill();

  const file = join(folder, 'file');
  writeFileSync(file, 'precious');
  t.match(await outcome(t, file), { code: 'EADDRINUSE', address: file, message: /not a socket, and never removed/ });
  t.equal(readFileSync(file, 'utf8'), 'precious', 'a regular file is never removed');

  const directory = join(folder, 'directory');
  mkdirSync(directory);
  t.match(await outcome(t, directory), { code: 'EADDRINUSE' });

  for (const [name, to] of [
    ['dangling', 'nowhere'],
    ['to-file', 'file'],
    ['to-stale', 's'],
  ] as const) {
    symlinkSync(to, join(folder, name));
    t.match(await outcome(t, join(folder, name)), { code: 'EADDRINUSE', message: /never removed/ }, `a link ${name}`);
    t.equal(readlinkSync(join(folder, name)), to);
  }
  t.ok(lstatSync(path).isSocket(), 'what a link points to stays as well');
  t.same(readdirSync(folder).sort(), ['dangling', 'directory', 'file', 's', 'to-file', 'to-stale']);
});

t.test('a link on the way to the path is followed', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'real'));
  symlinkSync('real', join(folder, 'link'));
  const path = join(folder, 'link/s');
  const program = serving(t, path);
  t.match(await program.json(), { address: path });
  t.equal(await answer(join(folder, 'real/s')), `served by ${program.pid}`);
});

t.test('a folder that is not there, or closed', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'missing/s');
  const message = new RegExp(`^listen ENOENT: cannot create a file in ${folder}/missing for s: `);
  t.match(await outcome(t, path), { code: 'ENOENT', syscall: 'listen', address: path, message });
});

t.test('paths up to the longest that an address can have', async (t) => {
  const folder = temporaryFolder(t);
  for (const length of [80, 88, 95, 107]) {
    const deep = join(folder, 'd'.repeat(length - folder.length - 3));
    mkdirSync(deep);
    const path = join(deep, 's');
    t.equal(path.length, length);
    const program = serving(t, { path, mode: 0o600 });
    t.match(await program.json(), { source: 'bound', address: path, own: path });
    t.equal(await answer(path), `served by ${program.pid}`);
    t.equal(mode(path), '600');
    await program.kill();
    const successor = serving(t, { path, mode: 0o600 });
    t.match(await successor.json(), { source: 'bound' }, 'stale, it is replaced');
    await successor.kill();
    t.same(readdirSync(deep), ['s']);
  }
  t.match(await outcome(t, join(folder, 'x'.repeat(107 - folder.length))), { code: 'LISTENFDS_BAD_ADDRESS' });
});

t.test('the backlog is that of a socket unit', async (t) => {
  const folder = temporaryFolder(t);
  const most = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));
  const backlog = (target: object): Promise<number> =>
    resultOf(
      t,
      `${prelude}
        import { describe } from 'listenfds';
    const { server } = await listen(app(), ${JSON.stringify(target)});
    done(describe(server._handle.fd).backlog);`,
    );
  t.equal(await backlog({ path: join(folder, 'a') }), Math.min(4096, most));
  t.equal(await backlog({ path: join(folder, 'b'), backlog: 7 }), 7);
  const deep = join(folder, 'd'.repeat(90 - folder.length));
  mkdirSync(deep);
  t.equal(await backlog({ path: join(deep, 's'), backlog: 9 }), 9);
});

t.test('on close its own path is unlinked, and nothing else', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  const closing = (target: object, meanwhile = ''): Promise<string[]> => {
    for (const name of readdirSync(folder)) if (!lstatSync(join(folder, name)).isSocket()) rmSync(join(folder, name));
    return resultOf(
      t,
      `${prelude}
      const path = '${path}';
      const { server } = await listen(app(), ${JSON.stringify({ path, ...target })});
      ${meanwhile}
      await close(server);
      done([fs.existsSync(path), server.address(), ...fs.readdirSync('${folder}')]);`,
    );
  };
  t.same(await closing({}), [false, null]);
  t.same(await closing({ removeOnStop: false }), [true, null, 's'], 'RemoveOnStop=no');
  t.same(await closing({}), [false, null], 'which is stale and replaced then');
  const replaced = `
    const { server: other } = await listen(app(), { path: path + '2', removeOnStop: false });
    fs.renameSync(path + '2', path);`;
  t.same(await closing({}, replaced), [true, null, 's'], "somebody else's socket stays");
  t.same(await closing({}, 'fs.unlinkSync(path);'), [false, null], 'removed already');
  t.same(await closing({}, "fs.unlinkSync(path); fs.writeFileSync(path, '');"), [true, null, 's'], 'so does a file');
  t.same(
    await closing({}, "fs.renameSync(path, path + '3'); fs.symlinkSync(path + '3', path);"),
    [true, null, 's', 's3'],
    'and a link',
  );
});

t.test(
  'there is no moment with other permissions',
  { skip: unless(asRoot.skip === false && !without('python3'), 'needs root and python3') },
  async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 's');
    // Looks as fast as it can, until the file 'stop' appears.
    const watch = `
import os, sys
seen = set()
print("watching", flush=True)
while not os.path.exists(sys.argv[1] + ".stop"):
    for _ in range(200):
        try:
            s = os.stat(sys.argv[1])
            seen.add((oct(s.st_mode & 0o7777), s.st_uid, s.st_gid))
        except FileNotFoundError:
            pass
print(sorted(seen))
`;
    const watcher = activate(t, ['python3', '-c', watch, path]);
    t.equal(await watcher.line(), 'watching');
    const rounds = await resultOf(
      t,
      `${prelude}
    for (let round = 0; round < 200; round++) {
      // Every second time it replaces a stale socket.
      const target = { path: '${path}', mode: 0o620, user: 1, group: 2, removeOnStop: round % 2 === 1 };
      await close((await listen(app(), target)).server);
    }
    fs.writeFileSync('${path}.stop', '');
    done(200);`,
      { through: ['sh', '-c', 'umask 000; exec "$@"', 'sh'] },
    );
    t.equal(rounds, 200);
    t.equal(await watcher.line(), "[('0o620', 1, 2)]");
  },
);

t.test('of two programs that find a stale path, exactly one gets it', async (t) => {
  const folder = temporaryFolder(t);
  const source = `${prelude}
    report('ready');
    for await (const line of (await import('node:readline')).createInterface(process.stdin)) {
      try {
        const { server } = await listen(app(), line);
        report('won');
      } catch (error) {
        report(error.code);
      }
    }`;
  const racers = [0, 1].map(() => activateModule(t, source, { stdin: 'pipe' }));
  for (const racer of racers) t.equal(await racer.json(), 'ready');
  for (let round = 0; round < 20; round++) {
    const path = join(folder, `s${round}`);
    const stale = createServer().listen(`${path}.bound`);
    await once(stale, 'listening');
    spawnSync('mv', [`${path}.bound`, path]);
    stale.close();
    await once(stale, 'close');
    for (const racer of racers) racer.child.stdin!.write(`${path}\n`);
    const results = await Promise.all(racers.map((racer) => racer.json<string>()));
    t.same([...results].sort(), ['EADDRINUSE', 'won'], `round ${round}`);
    const winner = racers[results.indexOf('won')]!;
    t.equal(await answer(path), `served by ${winner.pid}`);
  }
  t.same(readdirSync(folder).length, 20, 'nothing else is left');
});

t.test('killed half-way it leaves a temporary folder at most', { skip: without('strace') }, async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  // Not every architecture has the older ones.
  for (const call of ['listen', '?chmod,?fchmodat', '?link,?linkat']) {
    const program = activateModule(t, `${prelude} await listen(app(), '${path}'); process.exit();`, {
      through: inject(call, 'signal=KILL:when=1'),
    });
    const { stdout } = await program.ended;
    t.equal(stdout, '');
    t.ok(
      readdirSync(folder).every((name) => name.startsWith('.listenfds-')),
      call,
    );
    t.ok(readdirSync(folder).length > 0, 'it was half-way');
  }
});

t.test('an abstract name is exactly what was asked for', async (t) => {
  const name = `@lfd-bind-${process.pid}`;
  const program = serving(t, name);
  t.match(await program.json(), { source: 'bound', address: `\0${name.slice(1)}`, own: `\0${name.slice(1)}` });
  t.match(readFileSync('/proc/net/unix', 'utf8'), `${name}\n`);
  t.match(await outcome(t, name), { code: 'EADDRINUSE' });
});

t.test('ipv6Only and reusePort are set on the bound socket', async (t) => {
  const facts = (target: object): Promise<any> =>
    resultOf(
      t,
      `${prelude}
            import { describe } from 'listenfds';
      const { server } = await listen(app(), ${JSON.stringify(target)});
      done(describe(server._handle.fd));`,
    );
  t.match(await facts({ port: 0, host: '::' }), { ipv6Only: false, reusePort: false });
  t.match(await facts({ port: 0, host: '::', ipv6Only: true }), { ipv6Only: true });
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 12)) {
    t.match(await facts({ port: 0, reusePort: true }), { reusePort: true });
  } else {
    const error = { code: 'LISTENFDS_UNSUPPORTED', message: /^reusePort needs Node 22\.12 or newer/ };
    t.match(await outcome(t, { port: 0, reusePort: true }), error);
  }
});

t.test('a port in use is the error that Node gives', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  t.teardown(() => other.close());
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  t.match(await outcome(t, `127.0.0.1:${port}`), { code: 'EADDRINUSE', syscall: 'listen', address: '127.0.0.1' });
});

t.test('in a cluster worker the primary binds', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const program = activateModule(
    t,
    `${prelude}
    import cluster from 'node:cluster';
    const worker = ${JSON.stringify(`${prelude}
      const unix = await shown(listen(app(), '${path}'));
      const mode = await shown(listen(app(), { path: '${path}2', mode: 0o600 }));
      process.send([unix, mode]);`)};
    cluster.setupPrimary({ exec: '${path}.mjs', execArgv: [] });
    fs.writeFileSync('${path}.mjs', worker.replaceAll("'listenfds'", JSON.stringify(import.meta.resolve('listenfds'))));
    cluster.fork().on('message', report);`,
  );
  const [unix, refused] = await program.json();
  t.match(unix, { source: 'bound', address: path });
  t.match(await answer(path), /^served by/);
  t.match(refused, { code: 'LISTENFDS_UNSUPPORTED', message: /cluster worker the primary binds/ });
});
