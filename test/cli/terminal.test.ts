// What others say reaches the operator's terminal as text, never as orders to it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate } from '../support/activate.ts';
import { as, withoutOtherUsers } from '../support/as.ts';
import { Run, cli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { unless, without } from '../support/tools.ts';
import { visible, visibleJson } from '../../src/text/visible.ts';

const orders = '\x1b]0;title\x07\x1b[2J\u009b31m\r\u202e';
// Everything that xterm obeys, and what ends a line.
const obeyed = /(?![\n\t])[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

t.test('visible text', (t) => {
  t.equal(visible('a\x1b[31m\nb\tc\r\u009b\u202ed\x7f'), 'a\\x1b[31m\\nb\\tc\\r\\x9b\\u202ed\\x7f');
  t.equal(visible('é 你好 ␛ 🙂'), 'é 你好 ␛ 🙂');
  const object = { a: orders, '\u009b': 1 };
  t.notMatch(visibleJson(JSON.stringify(object, null, 2)), obeyed);
  t.strictSame(JSON.parse(visibleJson(JSON.stringify(object, null, 2))), object);
  t.end();
});

const withoutPython = without('python3');

t.test('the names of clients, the command and what it says of itself', { skip: withoutPython }, async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 's');
  const accepting = new Run(t, ['--accept', '-l', path, '--', 'true', orders]);
  await accepting.says(/accepting/);
  const client = `import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind('\\0' + sys.argv[2] + '\\nlistenfds: forged'); s.connect(sys.argv[1])`;
  await activate(t, ['python3', '-c', client, path, orders]).ended;
  await accepting.says(/connection from .*started/);
  t.notMatch(accepting.program.stderr, obeyed);
  t.notMatch(accepting.program.stderr, /^listenfds: forged/m);

  const says = `import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET'])
s.send(('READY=1\\nSTATUS=busy' + sys.argv[1]).encode())
input()`;
  const running = new Run(t, ['--now', '-l', join(folder, 't'), '--', 'python3', '-c', says, orders]);
  await running.says(/is ready after .*busy/);
  t.notMatch(running.program.stderr, obeyed);
});

/** A process of another user's with a command line and a listener of its choice. */
async function stranger(t: Test): Promise<number> {
  const program = `import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind('\\0' + sys.argv[1]); s.listen(1)
print('listening', flush=True)
s.accept()`;
  const started = activate(t, ['python3', '-c', program, orders], {
    through: as({ uid: 1234, gid: 1234 }),
    env: { PATH: '/usr/bin:/bin' },
  });
  await started.line();
  return started.pid;
}

t.test(
  'what another user’s process is called, and listens on',
  { skip: withoutOtherUsers() || withoutPython || unless(process.platform === 'linux', 'needs /proc') },
  async (t) => {
    const pid = await stranger(t);
    t.match(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '\x1b');
    for (const options of [[], ['--json']]) {
      const { stdout, stderr } = await cli(t, ['inspect', ...options, String(pid)]);
      t.match(stdout, /unix/);
      t.notMatch(stdout + stderr, obeyed);
    }
  },
);

t.test('errors repeat what was given', async (t) => {
  for (const args of [[orders], ['run', `--${orders}`], ['run', '-l', orders, 'true'], ['inspect', orders]]) {
    const { stdout, stderr } = await cli(t, args);
    t.notMatch(stdout + stderr, obeyed);
    t.match(stderr, /\\x1b|\\u001b/);
  }
});
