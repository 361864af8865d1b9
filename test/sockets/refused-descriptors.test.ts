// Descriptors that nobody wants: the last close of one can stand still for as long as its sender likes.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import * as insides from '../../dist/insides.js';
import { activate, activateModule } from '../support/activate.ts';
import { as, withoutOtherUsers } from '../support/as.ts';
import { temporaryFolder } from '../support/folder.ts';
import { unless } from '../support/tools.ts';

function canRefuse(): boolean {
  const { openSocket, setSocketOption, closeFd } = insides.binding();
  const fd = openSocket(1, 1, 0);
  const result = setSocketOption(fd, 'PassRights', 0);
  closeFd(fd);
  return result === 0;
}

const skip = withoutOtherUsers() || unless(canRefuse(), 'needs SO_PASSRIGHTS, Linux 6.16');

// A TCP connection with SO_LINGER and unsent data: whoever closes it last waits. In many messages, so that some of them
// wait in the queue when the sender has closed its own.
const sender = `
import array, os, socket, struct, sys, threading
l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096); l.bind(('127.0.0.1', 0)); l.listen(1)
c = socket.socket(); c.connect(l.getsockname()); p, _ = l.accept(); c.setblocking(False)
try:
    while True: c.send(b'x' * 65536)
except BlockingIOError: pass
c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 5))
u = socket.socket(socket.AF_UNIX, getattr(socket, sys.argv[2])); u.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
u.connect(sys.argv[1])
sent = True
if sys.argv[2] != 'SOCK_STREAM':
    for _ in range(8): u.send(b'y' * 100000)
try: u.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [c.fileno()]))])
except OSError as error: sent = error.errno
print(sent, flush=True)
threading.Thread(target=os.close, args=(c.detach(),), daemon=True).start()
input()
`;

const services: [kind: string, type: string, open: string][] = [
  ['a stream listener', 'SOCK_STREAM', `listen(http.createServer((q, r) => r.end()), { path, mode: 0o666 })`],
  [
    'a refusing stream listener',
    'SOCK_STREAM',
    `listen(http.createServer(), { path, mode: 0o666, authorize: { uids: [0] } })`,
  ],
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

for (const [kind, type, open] of services) {
  t.test(`${kind}: another user cannot send a descriptor that stops the event loop`, { skip }, async (t) => {
    const folder = temporaryFolder(t);
    chmodSync(folder, 0o755);
    const path = join(folder, 's');
    const service = activateModule(
      t,
      `import http from 'node:http';
      import { listen } from 'listenfds';
      import { listenDatagram, listenSequentialPacket } from 'listenfds/sockets';
      const path = '${path}';
      await ${open};
      let [last, longest] = [performance.now(), 0];
      setInterval(() => {
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
      }, 10);
      console.log('"ready"');
      process.stdin.once('data', () => setTimeout(() => console.log(longest), 300));`,
      { stdin: 'pipe' },
    );
    t.equal(await service.json(), 'ready');
    const other = activate(t, ['python3', '-c', sender, path, type], {
      through: as({ uid: 1234, gid: 1234 }),
      env: { PATH: '/usr/bin:/bin' },
      stdin: 'pipe',
    });
    t.match(await other.line(), /^(1|32)$/, 'EPERM, or EPIPE where it was refused before it could send');
    service.child.stdin!.write('go');
    t.ok(
      (await service.json<number>()) < 3000,
      'it does not stand still for the five seconds that the sender has chosen',
    );
  });
}
