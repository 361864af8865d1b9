// What the library asks of the kernel, as strace sees it. docs/maintainers/design.md gives the reason of every call.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import tap, { type Test } from 'tap';
import { activate, root, type Activation } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { unless } from '../support/tools.ts';

const works = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;
const skip = unless(works, 'needs strace, and the right to trace');

// Memory, threads and the event loop: V8 and libuv make these when they like.
const ofTheRuntime =
  /^(mmap|munmap|mprotect|madvise|brk|mremap|futex|epoll_\w+|sched_yield|getrandom|rt_sig\w+|clone3?|getpid)\(/;
const wakeup = /^write\(\d+, "\\1\\0\\0\\0\\0\\0\\0\\0", 8\)/;

/** `getsockopt(3, SOL_SOCKET, SO_TYPE, [1], [4]) = 0` → `getsockopt SO_TYPE` */
function inWords(line: string): string {
  const call = /^\w+/.exec(line)![0];
  const which = {
    getsockopt: /\b(?:SO|TCP|IPV6)_\w+/,
    setsockopt: /\b(?:SO|TCP|IPV6)_\w+/,
    fcntl: /\bF_\w+/,
    listen: /\d+(?=\))/,
  };
  const word = which[call as keyof typeof which]?.exec(line)?.[0];
  return word === undefined ? call : `${call} ${word}`;
}

/** The system calls of the main thread while `thing` of the fixture was done. */
async function trace(t: Test, thing: string, activation: Activation): Promise<string[]> {
  const log = join(temporaryFolder(t), 'strace');
  const command = [process.execPath, join(root, 'test/fixtures/traced.js'), thing];
  // -D: strace is no parent of the program, which keeps the pid that LISTEN_PID names.
  const { code, stderr } = await activate(t, command, { ...activation, through: ['strace', '-D', '-o', log] }).ended;
  t.equal(code, 0, stderr);
  const lines = readFileSync(log, 'utf8').split('\n');
  const from = lines.findIndex((line) => line.includes('"/traced/from"'));
  const to = lines.findIndex((line) => line.includes('"/traced/to"'));
  t.ok(from >= 0 && to > from, 'both marks are there');
  return lines
    .slice(from + 1, to)
    .filter((line) => /^\w+\(/.test(line) && !ofTheRuntime.test(line) && !wakeup.test(line))
    .map(inWords);
}

/** What is in `all` and not in `some`, one for one, sorted. */
function beyond(all: string[], some: string[]): string[] {
  const left = [...some];
  return all
    .filter((one) => {
      const at = left.indexOf(one);
      if (at >= 0) left.splice(at, 1);
      return at < 0;
    })
    .toSorted();
}

tap.test(
  'adopting a TCP listener makes the system calls of the design beside those of Node, and no other',
  { skip },
  async (t) => {
    const activation = { fds: ['tcp()'], names: ['web'] };
    const handwritten = await trace(t, 'handwritten', activation);
    const library = await trace(t, 'library', activation);
    t.ok(handwritten.includes('listen 511'), 'Node alone shrinks the backlog');
    t.same(
      beyond(library, handwritten),
      [
        'gettid',
        'prctl',
        'fcntl F_GETFD',
        'statx',
        'getsockopt SO_DOMAIN',
        'getsockopt SO_PROTOCOL',
        'getsockopt SO_ACCEPTCONN',
        'getsockname',
        'getsockopt SO_REUSEPORT',
        'getsockopt TCP_INFO',
        'getsockopt SO_TYPE',
        'fcntl F_DUPFD_CLOEXEC', // lent, for the next listen()
        'listen 128', // instead of the other
        'getsockname',
      ].toSorted(),
    );
  },
);

tap.test('where nothing was passed, listenFds() makes no system call', { skip }, async (t) => {
  t.same(await trace(t, 'nothing', {}), []);
});
