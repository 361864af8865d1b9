// start(), by which the command `run` and upgrades start programs: run in a child of its own, since it is about what a
// process hands to the next one.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { resultOf, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { unless } from '../support/tools.ts';

const prologue = `
  import { createServer } from 'node:net';
  import { once } from 'node:events';
  import { readFileSync, openSync } from 'node:fs';
  import { start, adoptOrphans } from ${JSON.stringify(join(root, 'dist/spawn.js'))};
  const out = (value) => console.log(JSON.stringify(value));
  /** Starts a command and resolves with what it printed and how it ended. */
  async function output(command, options) {
    const file = process.env.FOLDER + '/output';
    const fd = openSync(file, 'w');
    const exit = await start(command, { stdio: [null, fd, 2], ...options }).exited;
    return { text: readFileSync(file, 'utf8'), ...exit };
  }
`;

/** A program that says what it was given. */
const report = `
  const fs = require('fs');
  const fds = fs.readdirSync('/proc/self/fd').map(Number).filter((fd) => fd > 2)
    .map((fd) => { try { return [fd, fs.readlinkSync('/proc/self/fd/' + fd)]; } catch { return null; } })
    .filter((one) => one && one[1].startsWith('socket:')).map(([fd]) => fd);
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PIDFDID, NOTIFY_SOCKET, WATCHDOG_USEC } = process.env;
  process.stdout.write(JSON.stringify({ pid: process.pid, fds, odd: process.env['odd.name'], cwd: process.cwd(),
    LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PIDFDID, NOTIFY_SOCKET, WATCHDOG_USEC }));
`;

t.test(
  'it gets these descriptors from number 3 on and no others, LISTEN_PID right, every other variable',
  async (t) => {
    const source = `${prologue}
    const servers = [0, 1, 2].map(() => createServer().listen(0));
    await Promise.all(servers.map((server) => once(server, 'listening')));
    const handles = servers.map((server) => server._handle.fd);
    const env = { ...process.env, 'odd.name': 'kept', LISTEN_PID: '1', LISTEN_PIDFDID: '1', LISTEN_FDNAMES: 'x',
      WATCHDOG_USEC: '1', NOTIFY_SOCKET: '/old' };
    const command = [process.execPath, '-e', ${JSON.stringify(report)}];
    // The last first: what moves must not overwrite what is still to move.
    const two = JSON.parse((await output(command, { fds: [handles[2], handles[0]], names: ['a', 'b'], env, notifySocket: '@new' })).text);
    const none = JSON.parse((await output(command, { env, notifySocket: null, cwd: '/' })).text);
    out({ two, none });
    servers.forEach((server) => server.close());
  `;
    // Inherited by us without close-on-exec, behind a gap: it must not reach the program.
    const { two, none } = await resultOf(t, source, {
      fds: [null, null, null, null, null, null, 'tcp()'],
      count: null,
      env: { FOLDER: temporaryFolder(t) },
    });
    t.match(two, { fds: [3, 4], odd: 'kept', LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b', NOTIFY_SOCKET: '@new' });
    t.equal(two.LISTEN_PID, String(two.pid));
    t.equal(two.LISTEN_PIDFDID, undefined);
    t.equal(two.WATCHDOG_USEC, undefined);
    t.strictSame(none.fds, []);
    t.equal(none.LISTEN_PID, undefined);
    t.equal(none.LISTEN_FDS, undefined);
    t.equal(none.NOTIFY_SOCKET, undefined);
    t.equal(none.cwd, '/');
  },
);

t.test('its signals are as a shell leaves them', async (t) => {
  const source = `${prologue}
    process.on('SIGTERM', () => {});
    const { text } = await output(['sh', '-c', 'grep -E "^Sig(Ign|Blk)" /proc/self/status']);
    out(text.trim().split('\\n').map((line) => line.split('\\t')[1]));
  `;
  const masks = await resultOf(t, source, { env: { FOLDER: temporaryFolder(t) } });
  t.strictSame(masks, ['0000000000000000', '0000000000000000'], 'SIGPIPE is not ignored, nothing is blocked');
});

t.test('the end of a program is its status, its signal, or why it did not start', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'script'), 'exit 5\n', { mode: 0o755 });
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'data'), '');
  const source = `${prologue}
    const status = await start(['sh', '-c', 'exit 3']).exited;
    const sleeping = start(['sleep', '600']);
    sleeping.kill('SIGTERM');
    const signal = await sleeping.exited;
    const script = await start([process.env.FOLDER + '/script']).exited;
    const failures = [['no-such-program'], [process.env.FOLDER + '/data'], [process.env.FOLDER + '/bin']].map((command) => {
      try { start(command); } catch (error) { return [error.code, error.syscall]; }
    });
    out({ status, signal, script, failures, gone: sleeping.kill('SIGTERM'), listeners: process.listenerCount('SIGCHLD') });
  `;
  t.strictSame(await resultOf(t, source, { env: { FOLDER: folder } }), {
    status: { code: 3, signal: null },
    signal: { code: null, signal: 'SIGTERM' },
    script: { code: 5, signal: null },
    failures: [
      ['ENOENT', 'execve'],
      ['EACCES', 'execve'],
      ['EACCES', 'execve'],
    ],
    gone: false,
    listeners: 0,
  });
});

t.test('a group of its own is killed as a whole', async (t) => {
  const source = `${prologue}
    const file = process.env.FOLDER + '/output';
    const fd = openSync(file, 'w');
    const program = start(['sh', '-c', 'sleep 600 & echo $!; wait'], { ownGroup: true, stdio: [null, fd, 2] });
    setInterval(() => {}, 60_000);
    let sleeper = 0;
    while (!sleeper) sleeper = Number(readFileSync(file, 'utf8'));
    const orphan = new Promise((resolve) => adoptOrphans((pid, exit) => pid === sleeper && resolve(exit)));
    program.kill('SIGKILL', true);
    out([await program.exited, await orphan]);
    process.exit();
  `;
  const killed = { code: null, signal: 'SIGKILL' };
  t.strictSame(await resultOf(t, source, { env: { FOLDER: temporaryFolder(t) } }), [killed, killed]);
});

t.test(
  'the one between us and a releasable program does not share our memory',
  { skip: unless(['x64', 'arm64'].includes(process.arch), 'is known for x64 and arm64') },
  async (t) => {
    const source = `${prologue}
    const { startReleasable } = await import(${JSON.stringify(join(root, 'dist/spawn.js'))});
    const cache = Array.from({ length: 20 }, () => Buffer.alloc(10 << 20, 1));
    const fd = openSync('/dev/null', 'r+');
    const kB = (pid, field) =>
      Number(new RegExp('^' + field + ': +(\\\\d+) kB', 'm').exec(readFileSync('/proc/' + pid + '/smaps_rollup', 'utf8'))[1]);
    const program = await startReleasable(['sleep', '600'], { stdio: [fd, fd, 2] });
    const between = Number(/^PPid:\\s+(\\d+)/m.exec(readFileSync('/proc/' + program.pid + '/status', 'utf8'))[1]);
    // It lets go of it at once, but after the program has begun.
    while (kB(between, 'Rss') > 1000) await new Promise((resolve) => setImmediate(resolve));
    cache.forEach((part) => part.fill(2));
    const [ours, its] = [kB('self', 'Rss'), kB(between, 'Rss')];
    program.kill('SIGTERM');
    out({ ours, its, exit: await program.exited });
  `;
    const { ours, its, exit } = await resultOf(t, source);
    t.ok(ours > 200_000, `${ours} kB`);
    t.ok(its < 1000, `${its} kB`);
    t.strictSame(exit, { code: null, signal: 'SIGTERM' });
  },
);

t.test('names that cannot be passed are refused before anything is started', async (t) => {
  const source = `${prologue}
    out([{ fds: [1], names: ['a', 'b'] }, { fds: [1], names: ['a:b'] }].map((options) => {
      try { start(['true'], options); } catch (error) { return error.code; }
    }));
  `;
  t.strictSame(await resultOf(t, source), ['LISTENFDS_BAD_OPTION', 'LISTENFDS_BAD_OPTION']);
});

t.test('descendants whose parent has gone are told of', async (t) => {
  const source = `${prologue}
    setInterval(() => {}, 60_000); // an orphan is not waited for
    const orphan = new Promise((resolve) => adoptOrphans((pid, exit) => resolve({ pid, exit })));
    const { text } = await output(['sh', '-c', 'sh -c "sleep 0.2; exit 7" & echo $!']);
    const { pid, exit } = await orphan;
    out({ same: pid === Number(text), exit });
    process.exit();
  `;
  const found = await resultOf(t, source, { env: { FOLDER: temporaryFolder(t) } });
  t.strictSame(found, { same: true, exit: { code: 7, signal: null } });
});

t.test('what fails before the program is there is an error, not a program that has ended', async (t) => {
  // More descriptors than a process may have: the child's first step.
  const source = `${prologue}
    try {
      const { pid } = start(['/bin/true'], { fds: Array(60).fill(0) });
      out(pid);
    } catch ({ code, syscall }) {
      out({ code, syscall });
    }`;
  const through = ['sh', '-c', 'ulimit -n 40; exec "$@"', 'sh'];
  t.same(await resultOf(t, source, { through }), { code: 'EINVAL', syscall: 'execve' });
});

t.test('no descriptor stays behind', async (t) => {
  const source = `${prologue}
    import { readdirSync } from 'node:fs';
    const count = () => readdirSync('/proc/self/fd').length;
    await start(['true']).exited;
    const before = count();
    for (let i = 0; i < 20; i++) {
      await start(['true'], { stdio: [null, null, null], fds: [0, 1] }).exited;
      try { start(['/']); } catch {}
    }
    out(count() - before);
  `;
  t.equal(await resultOf(t, source), 0);
});
