// A folder of another user's, in which root binds: whatever that user does with the names in it, nothing of root's changes.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { activate, activateModule } from '../support/activate.ts';
import { as, withoutOtherUsers } from '../support/as.ts';
import { temporaryFolder } from '../support/folder.ts';
import { inject } from '../support/inject.ts';
import { without } from '../support/tools.ts';

// Exchanges, as fast as it can, what has just been bound with a link to what is root's alone: the file itself, or the folder
// it is made in.
const attacker = `
import ctypes, os, sys
libc = ctypes.CDLL(None)
os.chdir(sys.argv[1])
def exchange(a, b): return libc.renameat2(-100, a, -100, b, 2) == 0
os.mkdir('elsewhere'); os.symlink(sys.argv[2], 'elsewhere/s')
print('ready', flush=True)
while True:
    exchange(b'link', b'bound')
    for name in os.listdir(b'.'):
        # There and back: what is moved between two looks at it is not found again.
        if name.startswith(b'.listenfds-'):
            for _ in range(8): exchange(b'elsewhere', name)
`;

// Before each of these calls there is time to exchange names.
const changes = '?chown,?lchown,?fchownat,?chmod,?fchmodat';
const slowly = inject(changes, 'delay_enter=10000');
const hurries = [
  { how: 'at full speed', tries: 200, through: [] },
  { how: 'slowly', tries: 30, through: slowly },
];

const calls = {
  stream: 'listen(createServer(), target).then(({ server }) => server)',
  dgram: 'listenDatagram(target).then(({ socket }) => socket)',
  seqpacket: 'listenSequentialPacket(target).then(({ server }) => server)',
};

for (const [kind, call] of Object.entries(calls)) {
  for (const { how, tries, through } of hurries) {
    t.test(
      `${kind}: mode and owner go to the socket, whatever is under its name (${tries} tries, ${how})`,
      { skip: withoutOtherUsers() || without('python3', 'strace') },
      async (t) => {
        const folder = temporaryFolder(t);
        chmodSync(folder, 0o755);
        const [theirs, secret] = [join(folder, 'theirs'), join(folder, 'secret')];
        const program = activateModule(
          t,
          `import fs from 'node:fs';
        import { createServer } from 'node:net';
        import { listen } from 'listenfds';
        import { listenDatagram, listenSequentialPacket } from 'listenfds/sockets';
        fs.mkdirSync('${theirs}');
        fs.chownSync('${theirs}', 1234, 1234);
        fs.writeFileSync('${secret}', 'root only', { mode: 0o600 });
        console.log('made');
        await import('node:events').then(({ once }) => once(process.stdin, 'data'));
        const target = { path: '${theirs}/bound', user: 1234, group: 1234, mode: 0o660, activation: 'never' };
        let [bound, changed] = [0, 0];
        for (let i = 0; i < ${tries}; i++) {
          fs.rmSync('${theirs}/bound', { force: true });
          fs.rmSync('${theirs}/link', { force: true });
          fs.symlinkSync('${secret}', '${theirs}/link');
          const socket = await ${call}.catch(() => null);
          const { uid, mode } = fs.statSync('${secret}');
          if (uid !== 0 || (mode & 0o777) !== 0o600) changed += 1;
          fs.chownSync('${secret}', 0, 0);
          fs.chmodSync('${secret}', 0o600);
          if (socket === null) continue;
          bound += 1;
          await new Promise((resolve) => socket.close(resolve));
        }
        console.log(JSON.stringify({ bound, changed, descriptors: fs.readdirSync('/proc/self/fd').length }));
        process.exit();`,
          { stdin: 'pipe', through },
        );
        await program.line();
        const other = activate(t, ['python3', '-c', attacker, theirs, secret], {
          through: as({ uid: 1234, gid: 1234 }),
          env: { PATH: '/usr/bin:/bin' },
        });
        t.equal(await other.line(), 'ready');
        program.child.stdin!.end('go');
        const { bound, changed, descriptors } = await program.json();
        t.comment(`bound ${bound} of ${tries} times, changed root's file ${changed} times`);
        t.ok(bound > 0, 'some of them went well');
        t.equal(changed, 0);
        t.ok(descriptors < 40, `${descriptors} descriptors are open`);
        await other.kill();
      },
    );
  }
}
