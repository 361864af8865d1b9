// Descriptors that nobody wants: the last close of one can stand still for as long as its sender likes.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import * as insides from '../../dist/insides.js';
import { activate, activateModule } from '../support/activate.ts';
import { as, isStopped, withoutOtherUsers } from '../support/as.ts';
import { Run } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { lingering } from '../support/lingering.ts';
import { unless, without } from '../support/tools.ts';

function canRefuse(): boolean {
  const { openSocket, setSocketOption, closeFd } = insides.binding();
  const fd = openSocket(1, 1, 0);
  const result = setSocketOption(fd, 'PassRights', 0);
  closeFd(fd);
  return result === 0;
}

const skip = withoutOtherUsers() || unless(canRefuse(), 'needs SO_PASSRIGHTS, Linux 6.16');

// In many messages. Where they are taken, it says so when it has closed its own.
const sender = `${lingering}
c, p = lingering(5)
u = socket.socket(socket.AF_UNIX, getattr(socket, sys.argv[2])); u.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
u.connect(sys.argv[1])
sent = True
try:
    if sys.argv[2] != 'SOCK_STREAM':
        for _ in range(8): u.send(b'y' * 100000)
    send(u, b'x', c)
except OSError as error: sent = error.errno
closing = threading.Thread(target=os.close, args=(c.detach(),), daemon=True)
closing.start()
if sent is True: closing.join()
print(sent, flush=True)
input()
`;

const echo = `http.createServer((q, r) => r.end())`;
const services: [kind: string, type: string, open: string, passed?: string][] = [
  ['a stream listener', 'SOCK_STREAM', `listen(${echo}, { path, mode: 0o666 })`],
  ['a refusing stream listener', 'SOCK_STREAM', `listen(${echo}, { path, mode: 0o666, authorize: { uids: [0] } })`],
  [
    'datagrams',
    'SOCK_DGRAM',
    `listenDatagram({ path, mode: 0o666 }).then(({ socket }) => socket.on('message', () => {}))`,
  ],
  [
    'packets',
    'SOCK_SEQPACKET',
    `listenSequentialPacket({ path, mode: 0o666 }).then(({ server }) =>
      server.on('connection', (socket) => socket.on('error', () => {}).resume()))`,
  ],
];
// What was passed is not ours to set options on, some want descriptors, and before Linux 6.16 nothing refuses them.
const passed: typeof services = [
  [
    'a refusing stream listener that was passed',
    'SOCK_STREAM',
    `listen(${echo}, { authorize: { uids: [0] } })`,
    'unix',
  ],
  [
    'datagrams that were passed',
    'SOCK_DGRAM',
    `listenDatagram({}).then(({ socket }) => socket.on('message', () => {}))`,
    'unix_dgram',
  ],
  [
    'datagrams that are closed with descriptors in their queue',
    'SOCK_DGRAM',
    `listenDatagram({ path, mode: 0o666, receiveFds: true }).then(({ socket }) =>
      process.stdin.once('data', () => socket.close()))`,
    'own',
  ],
  [
    'datagrams that were passed, and are refused with the descriptors',
    'SOCK_DGRAM',
    `listenDatagram({ receiveFds: true, passCredentials: true }).then(({ socket }) => {
      authorizeDatagrams(socket, { uids: [0] });
      socket.on('message', () => {});
    })`,
    'unix_dgram',
  ],
  [
    'packets that were passed',
    'SOCK_SEQPACKET',
    `listenSequentialPacket({}).then(({ server }) =>
      server.on('connection', (socket) => socket.on('error', () => {}).resume()))`,
    'unix_seqpacket',
  ],
  [
    'packets that were passed, from who is refused',
    'SOCK_SEQPACKET',
    `listenSequentialPacket({ authorize: { uids: [0] } })`,
    'unix_seqpacket',
  ],
];

t.test('another user cannot send a descriptor that stops the event loop', async (t) => {
  for (const [kind, type, open, how] of [...services, ...passed]) {
    const needs = how ? withoutOtherUsers() || without('python3') : skip;
    await t.test(kind, { skip: needs }, async (t) => {
      const folder = temporaryFolder(t);
      chmodSync(folder, 0o755);
      const path = join(folder, 's');
      const service = activateModule(
        t,
        `import { chmodSync } from 'node:fs';
      import http from 'node:http';
      import { listen } from 'listenfds';
      import { authorizeDatagrams, listenDatagram, listenSequentialPacket } from 'listenfds/sockets';
      const path = '${path}';
      process.umask(0);
      await ${open};
      chmodSync(path, 0o666);
      console.log('"ready"');
      process.stdin.once('data', () => setTimeout(() => console.log('"answer"'), 300));`,
        { stdin: 'pipe', ...(how && how !== 'own' ? { fds: [`${how}("${path}")`] } : {}) },
      );
      t.equal(await service.json(), 'ready');
      // It reads nothing before the sender has closed its own.
      process.kill(service.pid, 'SIGSTOP');
      while (!isStopped(service.pid)) await new Promise((resolve) => setImmediate(resolve));
      const other = activate(t, ['python3', '-c', sender, path, type], {
        through: as({ uid: 1234, gid: 1234 }),
        env: { PATH: '/usr/bin:/bin' },
        stdin: 'pipe',
      });
      const sent = await other.line();
      if (how) t.equal(sent, 'True', 'it was sent');
      else t.match(sent, /^(1|32)$/, 'EPERM, or EPIPE where it was refused before it could send');
      service.child.stdin!.write('go');
      const began = performance.now();
      process.kill(service.pid, 'SIGCONT');
      t.equal(await service.json(), 'answer');
      const took = performance.now() - began;
      t.ok(took < 3000, `it answers after ${took} ms, and not after the five seconds that the sender has chosen`);
    });
  }
});

t.test(
  'the manager of a command goes on, whatever others send to its NOTIFY_SOCKET',
  { skip: withoutOtherUsers() || without('python3') },
  async (t) => {
    const folder = temporaryFolder(t);
    chmodSync(folder, 0o755);
    const command = ['sh', '-c', 'echo "$NOTIFY_SOCKET"; exec sleep 60'];
    const run = new Run(t, ['--now', '-l', '127.0.0.1:0', '--', ...command], { env: { XDG_RUNTIME_DIR: folder } });
    const path = await run.program.line();
    const others = [0, 1, 2, 3, 4, 5].map(() =>
      activate(t, ['python3', '-c', sender, path, 'SOCK_DGRAM'], {
        through: as({ uid: 1234, gid: 1234 }),
        env: { PATH: '/usr/bin:/bin' },
        stdin: 'pipe',
      }),
    );
    t.strictSame(
      await Promise.all(others.map((other) => other.line())),
      others.map(() => 'True'),
    );
    const began = performance.now();
    run.signal('SIGTERM');
    await run.program.ended;
    t.ok(performance.now() - began < 4000, 'it ends before a single one of them is closed');
  },
);
