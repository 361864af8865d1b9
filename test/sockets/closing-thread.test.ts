// Where the thread that closes what others have sent cannot help: its queue is full, there is no number for its pipe,
// or somebody else closes, the kernel or Node.js.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { activate, activateModule, insides } from '../support/activate.ts';
import { as, withoutOtherUsers } from '../support/as.ts';
import { temporaryFolder } from '../support/folder.ts';
import { lingering } from '../support/lingering.ts';
import { without } from '../support/tools.ts';

const skip = without('python3') || without('prlimit');

/** Runs a module with the numbers of lingering connections in `slow`; their other ends stay open in it. */
function withSlow(t: Parameters<typeof activate>[0], count: number, source: string, nofile: number) {
  const module = `
    import { openSync, readdirSync } from 'node:fs';
    import { binding } from ${JSON.stringify(insides)};
    const { closeElsewhere } = binding();
    const slow = process.argv.slice(1).map(Number);
    const open = () => openSync('/dev/null');
    const take = (fd) => {
      const began = performance.now();
      closeElsewhere(fd);
      return performance.now() - began;
    };
    ${source}`;
  const python = `${lingering}
both = [lingering(3) for _ in range(${count})]
for fd in [end.fileno() for ends in both for end in ends]: os.set_inheritable(fd, True)
os.execvp(sys.argv[1], [*sys.argv[1:], *[str(c.fileno()) for c, p in both]])
`;
  const node = [process.execPath, '--input-type=module', '--eval', module, '--'];
  return activate(t, ['python3', '-c', python, ...node], { through: ['prlimit', `--nofile=${nofile}`] });
}

t.test('a connection is not waited for where the queue of the thread is full', { skip }, async (t) => {
  const program = withSlow(
    t,
    2,
    `closeElsewhere(slow[0]);
    for (let i = 0; i < 17_000; i++) closeElsewhere(open());
    const waiting = readdirSync('/proc/self/fd').length;
    console.log(JSON.stringify({ waiting, took: take(slow[1]) }));
    process.kill(process.pid, 'SIGKILL');`,
    20_000,
  );
  const { waiting, took } = await program.json();
  t.ok(waiting > 16_384 && waiting < 17_000, `it is full: ${waiting}`);
  t.ok(took < 1000, `${took} ms, not the three seconds that the sender has chosen`);
});

t.test('nor where the process may open nothing more, and has no thread yet', { skip }, async (t) => {
  const program = withSlow(
    t,
    1,
    `let code;
    for (const end = performance.now() + 10_000; !code && performance.now() < end; ) {
      try { open(); } catch (error) { code = error.code; }
    }
    console.log(JSON.stringify({ code, took: take(slow[0]) }));
    process.kill(process.pid, 'SIGKILL');`,
    100,
  );
  const { code, took } = await program.json();
  t.equal(code, 'EMFILE');
  t.ok(took < 1000, `${took} ms`);
});

t.test('what there is no number for the kernel closes while it is received', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  const service = activateModule(
    t,
    `import { openSync } from 'node:fs';
    import { listenDatagram } from 'listenfds/sockets';
    console.log('"ready"');
    process.stdin.once('data', async () => {
      const { socket } = await listenDatagram({});
      try { for (;;) openSync('/dev/null'); } catch {}
      const began = performance.now();
      socket.on('message', () => console.log(performance.now() - began));
    });`,
    { stdin: 'pipe', fds: [`unix_dgram("${path}")`], through: ['prlimit', '--nofile=100'] },
  );
  t.equal(await service.json(), 'ready');
  const source = `${lingering}
u = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); u.connect(sys.argv[1])
c, p = lingering(2)
send(u, b'x', c)
c.close()
print('sent', flush=True)
input()
`;
  const sender = activate(t, ['python3', '-c', source, path], { stdin: 'pipe' });
  t.equal(await sender.line(), 'sent');
  service.child.stdin!.write('go');
  t.ok((await service.json<number>()) > 1500, 'as long as the sender has chosen');
});

t.test(
  'Node.js closes in its event loop what a child of another user has sent over the IPC channel',
  { skip: withoutOtherUsers() || without('python3') },
  async (t) => {
    const folder = temporaryFolder(t);
    chmodSync(folder, 0o777);
    const sent = join(folder, 'sent');
    const source = `${lingering}
u = socket.socket(fileno=int(os.environ['NODE_CHANNEL_FD']))
c, p = lingering(2)
send(u, b'{"cmd":"NODE_HANDLE","type":"net.Socket","msg":"take this"}\\n', c)
c.close()
open(sys.argv[1], 'w').close()
sys.stdin.readline()
`;
    const module = `
      import { spawn } from 'node:child_process';
      import { existsSync } from 'node:fs';
      const [sent, source, ...through] = process.argv.slice(1);
      const child = spawn(through[0], [...through.slice(1), 'python3', '-c', source, sent], { stdio: ['pipe', 2, 2, 'ipc'] });
      child.on('message', (message, handle) => {
        const began = performance.now();
        handle.once('close', () => {
          console.log(JSON.stringify({ message, took: performance.now() - began }));
          child.kill('SIGKILL');
        });
        handle.destroy();
      });
      // Nothing is read before the child has closed its own.
      const word = new Int32Array(new SharedArrayBuffer(4));
      while (!existsSync(sent)) Atomics.wait(word, 0, 0, 10);`;
    const node = [process.execPath, '--input-type=module', '--eval', module, '--'];
    const parent = activate(t, [...node, sent, source, ...as({ uid: 1234, gid: 1234 })], {
      env: { PATH: '/usr/bin:/bin' },
    });
    const { message, took } = await parent.json();
    t.equal(message, 'take this');
    t.ok(took > 1500, 'as long as the child has chosen');
  },
);
