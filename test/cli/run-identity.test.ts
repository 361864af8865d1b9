// Who can speak to `listenfds run`, and what a command with fewer rights can have it do.
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate } from '../support/activate.ts';
import { as, withoutOtherUsers } from '../support/as.ts';
import { Run } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { without } from '../support/tools.ts';

const skip = withoutOtherUsers() || without('python3', 'unshare');

function openFolder(t: Test): string {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  return folder;
}

const say = `
import os, socket, sys
def say(text, path=None):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s: s.sendto(text.encode(), path or os.environ['NOTIFY_SOCKET'])
`;

t.test('a command that has given up its rights cannot name a process that it has not started', { skip }, async (t) => {
  const victim = spawn('sleep', ['60']);
  t.teardown(() => victim.kill('SIGKILL'));
  const program = `${say}
os.setgroups([]); os.setgid(1234); os.setuid(1234)
say('READY=1'); say('MAINPID=' + sys.argv[1]); say('STATUS=said it')
input()`;
  const env = { XDG_RUNTIME_DIR: openFolder(t), PATH: '/usr/bin:/bin' };
  const command = ['python3', '-c', program, String(victim.pid)];
  const run = new Run(t, ['--now', '-l', '127.0.0.1:0', '--stop-timeout', '2s', '--', ...command], {
    env,
    stdin: 'pipe',
  });
  await run.says(/names pid \d+, which was not started by it: ignored/);
  await run.says(/said it/);
  run.signal('SIGTERM');
  await run.program.ended;
  t.equal(victim.exitCode ?? victim.signalCode, null, 'it goes on');
  victim.kill();
  await once(victim, 'exit');
});

t.test('a process that a pid namespace does not see is not the command', { skip }, async (t) => {
  const folder = openFolder(t);
  const env = { XDG_RUNTIME_DIR: folder, PATH: '/usr/bin:/bin' };
  const through = ['unshare', '--pid', '--fork', '--mount-proc'];
  const run = new Run(t, ['-l', join(folder, 's'), '--now', '--', 'sleep', '60'], { env, through });
  await run.says(/listening on/);
  const address = join(
    folder,
    readdirSync(folder).find((name) => name.startsWith('listenfds-run-'))!,
    'notify',
  );
  const outside = activate(t, ['python3', '-c', `${say}\nsay('READY=1\\nSTATUS=forged', sys.argv[1])`, address], {
    through: as({ uid: 1234, gid: 1234 }),
    env,
  });
  t.equal((await outside.ended).code, 0, 'it could be sent');
  // Root's own, which comes after, is heard.
  await activate(t, ['python3', '-c', `${say}\nsay('READY=1\\nSTATUS=marker', sys.argv[1])`, address], { env }).ended;
  await run.says(/marker/);
  t.notMatch(run.program.stderr, /forged/);
});

t.test('what an unprivileged one listens on, no other user reaches', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o1777);
  const through = as({ uid: 1234, gid: 1234 });
  const env = { XDG_RUNTIME_DIR: folder };
  const run = new Run(t, ['-l', join(folder, 's'), '--', 'sleep', '60'], { env, through });
  await run.says(/no process until somebody connects/);
  const [, address] = /\s(\S+\/listenfds-1234\S*\/notify)\n/.exec(
    (await activate(t, ['cat', '/proc/net/unix']).ended).stdout,
  )!;
  const other = activate(t, ['python3', '-c', `${say}\nsay('STATUS=forged', sys.argv[1])`, address!], {
    through: as({ uid: 5678, gid: 5678 }),
    env: { PATH: '/usr/bin:/bin' },
  });
  t.match((await other.ended).stderr, 'PermissionError');
});
