// LISTEN_PIDFDID= tells apart two processes that had the same pid one after the other: sd_listen_fds(3), since v259.
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { resultOf } from '../support/activate.ts';
import { unless } from '../support/tools.ts';

const own = 'os.fstat(os.pidfd_open(os.getpid())).st_ino';

/** A wrapper that sets the variable, to what a Python expression says, for the program that takes over its pid. */
const setting = (value: string): string[] => [
  'python3',
  '-c',
  `import os, sys; os.environ["LISTEN_PIDFDID"] = str(${value}); os.execvp(sys.argv[1], sys.argv[1:])`,
];

const source = `
    import { listenFds } from 'listenfds';
  let outcome;
  try {
    outcome = listenFds().length;
  } catch ({ code, variable }) {
    outcome = { code, variable };
  }
  console.log(JSON.stringify([outcome, Object.keys(process.env).filter((name) => name.startsWith('LISTEN'))]));
`;

// Before Linux 6.9 all pidfds have one inode, and any LISTEN_PIDFDID= will do.
const differ = `import os; os._exit(${own} == os.fstat(os.pidfd_open(os.getppid())).st_ino)`;
const skip = unless(spawnSync('python3', ['-c', differ]).status === 0, 'needs python3 and a kernel with pidfs');

t.test('LISTEN_PIDFDID is compared with the pidfd of this process', { skip }, async (t) => {
  const outcome = (value: string): Promise<unknown> => resultOf(t, source, { fds: ['tcp()'], through: setting(value) });
  t.same(await outcome(own), [1, []], 'our own');
  t.same(await outcome(`hex(${own})`), [1, []], 'our own, spelt otherwise');
  t.same(await outcome(`${own} + 1`), [0, []], 'of another process, all the same gone');
  t.same(await outcome('""'), [1, []], 'an empty one counts as absent');
  for (const value of ['"x"', '-1', '2 ** 64', `f"{${own}} "`]) {
    const error = { code: 'LISTENFDS_BAD_ENVIRONMENT', variable: 'LISTEN_PIDFDID' };
    t.same(await outcome(value), [error, []], value);
  }
});

t.test("the parent's, for pid: 'parent'", { skip }, async (t) => {
  const asking = source.replace('listenFds()', "listenFds({ pid: 'parent' })");
  const shell = ['sh', '-c', '"$@"; exit $?', 'sh'];
  const outcome = (value: string): Promise<unknown> =>
    resultOf(t, asking, { fds: ['tcp()'], through: [...setting(value), ...shell] });
  t.same(await outcome(own), [1, []]);
  t.same(await outcome(`${own} + 1`), [0, []]);
});

t.test('what is not ours is refused with the variable that says so', { skip }, async (t) => {
  const required = `
        import { listen } from 'listenfds';
    await listen(() => {}, { activation: 'required' }).catch(({ code, message }) => console.log(JSON.stringify({ code, message })));
  `;
  t.match(await resultOf(t, required, { fds: ['tcp()'], through: setting(`${own} + 1`) }), {
    code: 'LISTENFDS_NOT_ACTIVATED',
    message: /^No descriptor was passed to this process: LISTEN_PIDFDID is that of another process/,
  });
});
