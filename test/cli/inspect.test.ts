import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, activateModule, type Activation } from '../support/activate.ts';
import { withoutOtherUsers } from '../support/as.ts';
import { cli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import * as insides from '../../dist/insides.js';
import { unless, without } from '../support/tools.ts';

interface Found {
  readonly code: number | null;
  readonly codes: string[];
  readonly report: any;
}

async function inspect(t: Test, ...operands: string[]): Promise<Found> {
  const { stdout, stderr, code } = await cli(t, ['inspect', '--json', ...operands]);
  if (stdout === '') throw new Error(stderr);
  const report = JSON.parse(stdout);
  return { code, report, codes: report.findings.map(({ code: one }: { code: string }) => one) };
}

/** A program that leaves its descriptors alone. */
async function idle(t: Test, activation: Activation): Promise<number> {
  const program = activate(t, ['sh', '-c', 'echo up; exec sleep 600'], activation);
  await program.line();
  return program.pid;
}

/** A program that adopts what it is passed, by order. */
const adopting = `
    import { listenFds } from 'listenfds';
  import { createServer } from 'node:net';
  for (const one of listenFds()) createServer().listen({ fd: one.take() }, one.backlog);
  console.log('up');
`;
/** One that adopts nothing, but waits for something else. */
const ignoring = `import { createServer } from 'node:net'; createServer().listen(0, () => console.log('up'));`;

async function running(t: Test, source: string, activation: Activation): Promise<number> {
  const program = activateModule(t, source, activation);
  await program.line();
  return program.pid;
}

/** The finding is there, its text says what it should, and the command says so with its exit status. */
function hasFinding({ code, report, codes }: Found, t: Test, wanted: string, message: RegExp): void {
  t.equal(code, 1);
  t.ok(codes.includes(wanted), `${wanted} is among ${codes.join()}`);
  const found = report.findings.find((one: { code: string }) => one.code === wanted);
  t.match(found?.message, message);
  t.ok(found?.remedy);
}

t.test('a process with nothing wrong: what it was given, and exit status 0', async (t) => {
  const path = join(temporaryFolder(t), 'web.sock');
  const pid = await running(t, adopting, {
    fds: ['tcp(backlog=100)', `unix(${JSON.stringify(path)}, 7)`],
    names: ['web', 'local'],
  });
  const { code, report, codes } = await inspect(t, String(pid));
  t.strictSame(codes, []);
  t.equal(code, 0);
  t.match(report, {
    pid,
    announced: 2,
    descriptors: [
      { fd: 3, name: 'web', source: 'passed', type: 'stream', listening: true, queued: 0, backlog: 100, cloexec: true },
      {
        fd: 4,
        name: 'local',
        family: 'unix',
        type: 'stream',
        address: path,
        backlog: 7,
        owner: { pid, uid: process.getuid!() },
      },
    ],
  });
});

t.test('malformed-environment: the names are not as many as the descriptors', async (t) => {
  const pid = await idle(t, { fds: ['tcp()'], names: ['one', 'two'] });
  hasFinding(await inspect(t, String(pid)), t, 'malformed-environment', /LISTEN_FDNAMES.*2 instead of 1/);
});

t.test('foreign-pid: a wrapper that was meant instead', async (t) => {
  const pid = await idle(t, { fds: ['tcp()'], pid: process.pid });
  hasFinding(
    await inspect(t, String(pid)),
    t,
    'foreign-pid',
    new RegExp(`LISTEN_PID is ${process.pid}, what started it`),
  );
});

t.test('LISTENFDS_PID says whose pid counts', async (t) => {
  for (const [accepted, pid, codes] of [
    ['any', 1, []],
    ['parent', process.pid, []],
    ['parent', 1, ['foreign-pid']],
  ] as const) {
    const env = { LISTENFDS_PID: accepted };
    const source = `process.env.LISTENFDS_PID = 'any'; ${adopting}`;
    const found = await inspect(t, String(await running(t, source, { fds: ['tcp()'], pid, env })));
    t.strictSame(found.codes, codes, `${accepted} ${pid}`);
  }
});

t.test(
  'in a pid namespace of its own a process has the number that it knows itself by',
  { skip: without('unshare') || unless(process.getuid!() === 0, 'needs root') },
  async (t) => {
    const through = ['unshare', '--pid', '--fork', '--kill-child'];
    const inside = async (pid: number): Promise<string> => {
      const program = activate(t, [...through, 'sh', '-c', 'echo up; exec sleep 600'], { fds: ['tcp()'], pid });
      await program.line();
      return readFileSync(`/proc/${program.pid}/task/${program.pid}/children`, 'utf8').trim();
    };
    const ours = await inspect(t, await inside(1));
    t.strictSame(ours.codes, ['inheritable'], 'LISTEN_PID=1 is its own');
    hasFinding(await inspect(t, await inside(7)), t, 'foreign-pid', /LISTEN_PID is 7, another process, not 1:/);
  },
);

t.test('a path that only the process itself can resolve is no error', { skip: without('python3') }, async (t) => {
  // As conmon does it, whose paths would be too long otherwise.
  const source = [
    'import os, socket, time',
    `folder = os.open(${JSON.stringify(temporaryFolder(t))}, os.O_PATH)`,
    's = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)',
    's.bind(f"/proc/self/fd/{folder}/attach")',
    's.listen()',
    'print("up", flush=True)',
    'time.sleep(600)',
  ].join('\n');
  const program = activate(t, ['python3', '-c', source]);
  await program.line();
  const { codes, report } = await inspect(t, String(program.pid));
  t.strictSame(codes, []);
  t.match(report.descriptors, [{ source: 'own', address: /^\/proc\/self\/fd\/\d+\/attach$/ }]);
});

const noPidfs = typeof insides.binding().pidfdInode(process.pid) === 'number';
t.test(
  'pidfd-mismatch: LISTEN_PIDFDID is of another process',
  { skip: unless(!noPidfs, 'needs a kernel with pidfs') },
  async (t) => {
    const pid = await idle(t, { fds: ['tcp()'], env: { LISTEN_PIDFDID: '1' } });
    hasFinding(await inspect(t, String(pid)), t, 'pidfd-mismatch', /LISTEN_PIDFDID is 1, but/);
  },
);

t.test('stale-variables: left behind by a process that was activated', async (t) => {
  const pid = await idle(t, { count: 2, pid: process.pid });
  const found = await inspect(t, String(pid));
  hasFinding(found, t, 'stale-variables', new RegExp(`LISTEN_PID=${process.pid} LISTEN_FDS=2 are left over`));
  t.notOk(found.codes.includes('missing-descriptor'), 'which were never meant for it');
});

t.test('missing-descriptor: a gap, and a number that is something else', async (t) => {
  const gap = await idle(t, { fds: ['tcp()', null, 'tcp()'], names: ['a', 'b', 'c'] });
  hasFinding(await inspect(t, String(gap)), t, 'missing-descriptor', /fd 4 \(b\) was announced, but it is not open/);
  const other = await idle(t, { fds: ['epoll()'] });
  hasFinding(await inspect(t, String(other)), t, 'missing-descriptor', /fd 3 .* belongs to anon_inode:\[eventpoll\]/);
});

t.test('port-differs: the port was changed in the program’s configuration only', async (t) => {
  const bound = createServer();
  await new Promise<void>((resolve) => bound.listen(0, '127.0.0.1', resolve));
  t.teardown(() => bound.close());
  const { port } = bound.address() as { port: number };
  const pid = await running(t, adopting, { fds: ['tcp()'], names: ['web'], env: { PORT: String(port) } });
  const found = await inspect(t, String(pid));
  hasFinding(found, t, 'port-differs', new RegExp(`PORT=${port} asks for port ${port}.* fd 3 \\(web\\) on 127.0.0.1:`));
  t.match(found.report.findings[0].remedy, /ListenStream=/);

  const command = [process.execPath, '--input-type=module', '--eval', adopting, '--', '--port', '4711'];
  const program = activate(t, command, { fds: ['tcp()'] });
  await program.line();
  hasFinding(await inspect(t, String(program.pid)), t, 'port-differs', /--port 4711 asks for port 4711/);
});

t.test('unused: nothing waits for its connections', async (t) => {
  const pid = await running(t, ignoring, { fds: ['queued(tcp(), 2)'], names: ['web'] });
  hasFinding(await inspect(t, String(pid)), t, 'unused', /fd 3 \(web\) at 127.0.0.1:\d+ was passed.*: 2 queued/);
});

t.test('queue-full: more connections wait than the backlog has room for', async (t) => {
  const pid = await idle(t, { fds: ['queued(tcp(backlog=1), 2)'] });
  hasFinding(await inspect(t, String(pid)), t, 'queue-full', /2 connections wait in a queue for 1/);
});

t.test('path-missing and path-replaced: a unix listener that nobody reaches', async (t) => {
  const path = join(temporaryFolder(t), 'web.sock');
  const pid = await running(t, adopting, { fds: [`unix(${JSON.stringify(path)})`], names: ['web'] });
  rmSync(path);
  hasFinding(await inspect(t, String(pid)), t, 'path-missing', /web\.sock does not exist any more/);
  const usurper = createServer();
  await new Promise<void>((resolve) => usurper.listen(path, resolve));
  t.teardown(() => usurper.close());
  hasFinding(await inspect(t, String(pid)), t, 'path-replaced', /web\.sock is not its socket any more/);
  usurper.close();
  writeFileSync(path, '');
  hasFinding(await inspect(t, String(pid)), t, 'path-replaced', /web\.sock is not its socket any more/);
});

t.test('inheritable: it leaks into every program that is started', async (t) => {
  const pid = await idle(t, { fds: ['tcp()'], names: ['web'] });
  hasFinding(await inspect(t, String(pid)), t, 'inheritable', /fd 3 \(web\) is passed on/);
});

t.test('held-elsewhere: another program has the listener too', async (t) => {
  const source = `${adopting}
    const { spawn } = await import('node:child_process');
    const child = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', 3] });
    console.log(child.pid);
  `;
  const program = activateModule(t, source, { fds: ['tcp()'], names: ['web'] });
  await program.line();
  const child = await program.line();
  const found = await inspect(t, String(program.pid));
  hasFinding(found, t, 'held-elsewhere', new RegExp(`fd 3 \\(web\\) .* also fd 3 of process ${child} \\(sleep\\)`));
  t.match(found.report.descriptors[0].holders, [{ pid: Number(child), name: 'sleep', fds: [3] }]);
});

t.test('without an argument it looks at what it was given itself', async (t) => {
  const { stdout, code } = await cli(t, ['inspect'], {
    fds: ['tcp(port=0)', 'fifo("/tmp/lfd-fifo-%d" % os.getpid())'],
    names: ['web', 'pipe'],
  });
  t.match(stdout, /^FD +NAME +TYPE +ADDRESS +QUEUE/m);
  t.match(stdout, /^3 +web +inet stream +127\.0\.0\.1:\d+ +0\/128 +yes/m);
  t.match(stdout, /^4 +pipe +fifo +\/tmp\/lfd-fifo-/m);
  t.match(stdout, '✓ nothing is wrong');
  t.notMatch(stdout, String.fromCharCode(27), 'no colours in a pipe');
  t.equal(code, 0);
  for (const [, path] of stdout.matchAll(/(\/tmp\/lfd-fifo-\d+)/g)) rmSync(path!);
});

t.test('a wrapper is told from outside and from inside alike', async (t) => {
  const { stdout, code } = await cli(t, ['inspect', '--json'], { fds: ['tcp()'], pid: process.pid });
  t.equal(code, 1);
  t.match(JSON.parse(stdout).findings, [{ code: 'foreign-pid' }]);
});

t.test('a listener that was not passed is shown as its own', async (t) => {
  const pid = await running(t, ignoring, {});
  const { report, code } = await inspect(t, String(pid));
  t.equal(code, 0);
  t.match(report.descriptors, [{ name: null, source: 'own', family: 'inet6', type: 'stream', listening: true }]);
});

t.test('an abstract name that is filled up with NULs takes one line', { skip: without('python3') }, async (t) => {
  const name = `@listenfds-${process.pid}`;
  const source = `import socket, time
s = socket.socket(socket.AF_UNIX)
s.bind(("\\0${name.slice(1)}").ljust(108, "\\0").encode())
s.listen()
print("up", flush=True)
time.sleep(600)`;
  const program = activate(t, ['python3', '-c', source]);
  await program.line();
  const { stdout } = await cli(t, ['inspect', String(program.pid)]);
  const row = stdout.split('\n').find((line) => line.includes(name))!;
  t.match(row, `${name}\\x00 (${108 - name.length} times)`);
  t.ok(row.length < 140, row);
});

t.test(
  'of conmon the program in its container is shown',
  { skip: without('python3') || withoutOtherUsers() },
  async (t) => {
    const source = `import ctypes, socket, subprocess, sys
libc = ctypes.CDLL(None)
libc.prctl(15, b"conmon")
assert libc.unshare(0x20000000) == 0
child = subprocess.Popen(["sleep", "600"])
print(child.pid, flush=True)
child.wait()`;
    const conmon = activate(t, ['python3', '-c', source]);
    const program = Number(await conmon.line());
    t.teardown(() => process.kill(program, 'SIGKILL'));
    t.match((await inspect(t, String(conmon.pid))).report, { pid: program });
  },
);

t.test('colours only where they are wanted', async (t) => {
  const escape = `${String.fromCharCode(27)}[`;
  const pid = await idle(t, { fds: ['tcp()'] });
  const forced = await cli(t, ['inspect', String(pid)], { env: { FORCE_COLOR: '1' } });
  t.ok(forced.stdout.includes(escape));
  const denied = await cli(t, ['inspect', String(pid)], { env: { FORCE_COLOR: '1', NO_COLOR: '1' } });
  t.notOk(denied.stdout.includes(escape));
});

t.test('what cannot be looked at is told apart from what is wrong: exit status 2', async (t) => {
  const gone = execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }).trim();
  const noProcess = await cli(t, ['inspect', gone]);
  t.equal(noProcess.code, 2);
  t.match(noProcess.stderr, `there is no process ${gone}`);
  const two = await cli(t, ['inspect', '1', '2']);
  t.equal(two.code, 2);
});
