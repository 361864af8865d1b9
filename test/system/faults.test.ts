// Every system call of the addon fails once, with every error that a busy, full or locked-up machine gives: a coded error
// comes back, no descriptor is left behind, and the next call works. `npm run test:faults` injects every error into
// every call; without it each call gets one.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';
import { errnos, Faulty, withoutFaults, type Call, type Errno, type Fault } from '../support/faults.ts';
import { addon } from '../support/package.ts';
import { without } from '../support/tools.ts';

const skip = withoutFaults;
const everything = process.env['LISTENFDS_FAULTS'] === 'all';

/** What the addon takes from the C library → the system calls it makes; none: it makes none that can fail. */
const imported: Readonly<Record<string, readonly string[]>> = {
  accept4: ['accept4'],
  bind: ['bind'],
  chdir: ['chdir'],
  close: ['close'],
  connect: ['connect'],
  dup2: ['dup2', 'dup3'],
  execve: ['execve'],
  fcntl: ['fcntl'],
  fork: ['clone', 'fork'],
  fstatfs: ['fstatfs'],
  getaddrinfo: [], // of a number
  getgrnam_r: ['openat'],
  getpeername: ['getpeername'],
  getpwnam_r: ['openat'],
  getrlimit: ['prlimit64', 'getrlimit'],
  getsockname: ['getsockname'],
  getsockopt: ['getsockopt'],
  if_indextoname: [], // needs a link-local address; without an answer the zone is left out
  if_nametoindex: ['ioctl'],
  ioctl: ['ioctl'],
  listen: ['listen'],
  mkfifo: ['mknodat', 'mknod'],
  nanosleep: ['clock_nanosleep', 'nanosleep'],
  open: ['openat', 'open'],
  pipe2: ['pipe2'],
  poll: ['poll', 'ppoll'],
  prctl: ['prctl'],
  read: ['read'],
  recv: ['recvfrom'],
  recvmmsg: ['recvmmsg'],
  send: ['sendto'],
  setpgid: ['setpgid'],
  setsockopt: ['setsockopt'],
  shutdown: ['shutdown'],
  socket: ['socket'],
  socketpair: ['socketpair'],
  syscall: [], // by its number: see below
  vfork: ['vfork', 'clone'],
  waitpid: ['wait4'],
  write: ['write'],
  // What cannot fail, or makes no system call.
  _exit: [],
  getegid: [],
  geteuid: [],
  getgid: [],
  getpid: [],
  getppid: [],
  getuid: [],
  sigaction: [],
  sigprocmask: [],
  sigemptyset: [],
  sigfillset: [],
  __errno_location: [],
  __stack_chk_fail: [],
  abort: [],
  calloc: [],
  free: [],
  freeaddrinfo: [],
  inet_ntop: [],
  inet_pton: [],
  malloc: [],
  memchr: [],
  memcmp: [],
  memcpy: [],
  memmove: [],
  memset: [],
  strchr: [],
  strcmp: [],
  strlen: [],
  strnlen: [],
};

// The runtime's of C++, of Node, and of the linker.
const ofTheRuntime = /^(_Z|__cxa_|_ITM_|__gmon_start__|__gxx_|napi_|uv_)/;

t.test('every function that the addon takes from the C library is in the table', { skip: without('nm') }, (t) => {
  const symbols = execFileSync('nm', ['-D', '--undefined-only', addon], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => /^ *[Uwv] ([^@]+)/.exec(line)?.slice(1) ?? [])
    .filter((name) => !ofTheRuntime.test(name))
    // __read_chk is read() with a check, open64 is open().
    .map((name) => name.replace(/^__(\w+)_chk$/, '$1').replace(/64(_2)?$/, ''));
  t.ok(symbols.length > 30);
  t.same(
    symbols.filter((name) => !Object.hasOwn(imported, name === 'stack_chk_fail' ? '__stack_chk_fail' : name)),
    [],
  );
  t.end();
});

/** Called through syscall(2) by the sources. */
const numbered = readdirSync(join(root, 'native'))
  .filter((file) => file.endsWith('.cc'))
  .flatMap((file) => readFileSync(join(root, 'native', file), 'utf8').match(/(?<=syscall\(SYS_)\w+/g) ?? []);

/** Nothing can fail in these, or they are V8's and libuv's. */
const unfailing =
  /^(gettid|getpid|getppid|get[eu]?[ug]id|rt_sig\w+|tgkill|exit\w*|mmap|munmap|mprotect|madvise|brk|mremap|futex|epoll_\w+|sched_\w+|getrandom|rseq|set_robust_list|prlimit64|arch_prctl|set_tid_address|access|newfstatat|fstat|lseek|pread64)$/;

// Again after a signal; the result is as without.
const retried = new Set([
  'accept4',
  'ioctl', // libuv's
  'poll',
  'ppoll',
  'read',
  'recvmmsg',
  'sendmsg',
  'wait4',
  'write',
  'mq_timedreceive',
  'mq_timedsend',
]);

// Where something is only not known then, or there is another way.
const optional: Readonly<Record<string, readonly string[]>> = {
  facts: [
    'getpeername',
    'getsockopt SO_REUSEPORT',
    'getsockopt IPV6_V6ONLY',
    'getsockopt TCP_INFO',
    'socket AF_NETLINK',
    'sendto',
    'recvfrom',
    'close',
    'mq_getsetattr',
  ],
  peerCredentials: ['getsockopt SO_PEERSEC'],
  mayListen: ['prctl'],
  pidfdInode: ['close'],
  borrowFd: ['close'],
  // What cannot be closed in the thread is closed here.
  createPoll: [
    'close',
    'statx',
    'getsockopt SO_DOMAIN',
    'getsockopt SO_TYPE',
    'getsockopt SO_ACCEPTCONN',
    'write',
    'setsockopt SO_LINGER',
  ],
  closeElsewhere: ['close', 'statx', 'write', 'setsockopt SO_LINGER'],
  // A queue of unknown size takes nothing but what it must.
  receiveMessages: ['close', 'ioctl', 'statx', 'write', 'setsockopt SO_LINGER', 'fcntl F_GETPIPE_SZ'],
  // A bigger buffer, and to know the socket again; a message in another's name goes in ours; a full queue is tried again.
  notifyUnix: ['setsockopt SO_SNDBUF', 'getsockopt SO_COOKIE', 'clock_nanosleep', 'nanosleep', 'close'],
  // A socket of another type, or a port that is not privileged.
  notifyVsock: ['socket AF_VSOCK', 'bind', 'connect', 'close', 'poll', 'ppoll', 'getsockopt SO_ERROR'],
  startProcess: ['close', 'close_range', 'read', 'write'],
  startGuardedProcess: ['close', 'close_range', 'prctl', 'wait4'],
  // getaddrinfo(3) asks for the number of the zone's interface, and knows one error for everything.
  numericAddress: ['socket AF_UNIX', 'ioctl', 'close'],
  bindInet: ['close'],
};

const isError = (result: unknown): boolean => typeof result === 'number' && result < 0;

/** Whether `result` is what should come of a fault in `call`, where `without` is what comes without. */
function isRight(name: string, { words, name: call }: Call, errno: Errno, result: unknown, without: unknown): boolean {
  const [verb = ''] = name.split(/[ ,]/);
  const same =
    JSON.stringify(result) === JSON.stringify(without) || (typeof result === typeof without && !isError(result));
  const coded = result === -errnos[errno];
  const ofTheZone = call === 'ioctl' && (verb === 'numericAddress' || verb === 'bindInet'); // if_nametoindex(3)'s
  if (errno === 'EINTR' && retried.has(call) && !ofTheZone) return same;
  if (verb === 'notifyUnix' && call === 'sendmsg' && errno === 'EAGAIN') return same || coded;
  if (name.includes('for another') && call === 'sendmsg') return same;
  // nss decides what is an error, and what is nobody: getpwnam(3).
  if (verb === 'userId' || verb === 'groupId') return same || coded || result === null;
  if (optional[verb]?.includes(words)) return same || isError(result) || result === null;
  // What fails anyway may fail otherwise.
  return coded || (isError(without) && isError(result));
}

interface Answer {
  readonly result: unknown;
}
interface Afterwards {
  readonly again: unknown;
  /** The fault has hit the call, and not what the program does around it. */
  readonly hit: boolean;
  readonly left: string[];
  readonly lost: string[];
}

const chosen = Object.keys(errnos) as Errno[];
/** Of each call one error, another for the next; in every run the same. */
function sample(index: number): Errno[] {
  return everything ? chosen : [chosen[index % chosen.length]!];
}

t.test('every system call of the addon may fail', { skip }, async (t) => {
  const all = await import('../fixtures/native-calls.js').then(({ calls }) => calls as Record<string, object>);
  const reached = new Set<string>();
  const wrong: string[] = [];
  let injected = 0;
  const command = [process.execPath, join(root, 'test/fixtures/faulty.js')];
  const names = Object.keys(all);
  const share = async (mine: string[]): Promise<void> => {
    let faulty = new Faulty(t, command);
    const begin = async (name: string): Promise<void> => {
      faulty.say(JSON.stringify({ call: name }));
      await faulty.program.json();
    };
    const finish = (): Promise<Afterwards> => {
      faulty.say('go on');
      return faulty.program.json<Afterwards>();
    };
    const attempt = async (name: string, fault: Fault, follow: boolean): Promise<Answer & Afterwards> => {
      // Whether the read that it waits in is counted is a matter of luck.
      const shifts = fault.name === 'read' ? [0, 1, -1] : [0];
      for (let tried = 0; tried < 12; tried++) {
        const nth = Math.max(1, fault.nth + shifts[tried % shifts.length]!);
        await begin(name);
        const { answer, injected: made } = await faulty.inject<Answer>({ ...fault, nth }, follow);
        const afterwards = await finish();
        if (made && afterwards.hit) return { ...answer, ...afterwards };
      }
      throw new Error('the call cannot be hit');
    };
    /** What is wrong after one fault. */
    const faultsOf = async (
      name: string,
      call: Call,
      errno: Errno,
      label: string,
      without: unknown,
    ): Promise<string[]> => {
      const found: string[] = [];
      try {
        const { result, again, left, lost } = await attempt(name, { ...call, errno }, name.startsWith('start'));
        if (!isRight(name, call, errno, result, without)) found.push(`${label}: ${JSON.stringify(result)}`);
        if (typeof again !== typeof without || isError(again) !== isError(without)) {
          found.push(`${label}: afterwards ${JSON.stringify(again)}, not ${JSON.stringify(without)}`);
        }
        // A close(2) that strace has not let through leaves open what it should have closed.
        // A number that may be somebody else's by now is not closed.
        const kept = call.name === 'close' || call.words === 'getsockopt SO_COOKIE';
        if (!kept && left.length + lost.length > 0) {
          found.push(`${label}: left ${left.join(', ')}, lost ${lost.join(', ')}`);
        }
      } catch (error) {
        const { code, signal, stderr } = await faulty.program.kill();
        found.push(
          `${label}: the program ended, ${code ?? signal}: ${(error as Error).message.slice(0, 40)} ${stderr.slice(0, 300)}`,
        );
        faulty = new Faulty(t, command);
      }
      return found;
    };
    for (const name of mine) {
      const guarded = name === 'startGuardedProcess';
      const follow = name.startsWith('start');
      await begin(name);
      const { calls } = await faulty.trace<Answer>(follow, guarded ? '"/traced/end"' : undefined);
      const { again: without } = await finish();
      const seen = new Set<string>();
      let index = names.indexOf(name);
      for (const call of calls) {
        reached.add(call.name);
        const key = `${call.name} ${call.nth}`;
        if (unfailing.test(call.name) || seen.has(key)) continue;
        seen.add(key);
        // The event loop's own, on the threads that a guarded start goes through.
        // Without the close(2) of a pipe's end there is no end: that cannot happen, Linux closes even where it reports an error.
        if (follow && call.name === 'close') continue;
        if (guarded && ['read', 'ioctl'].includes(call.name)) continue;
        // Nothing is opened here: it is the loader of the program that is started, or another thread.
        if (follow && call.name === 'openat') continue;
        // The first write of each process would fail: the one by which the program says that it waits, too.
        if (follow && call.name === 'write') continue;
        for (const errno of sample(index++)) {
          const label = `${name}: ${call.words} (${call.nth}) fails with ${errno}`;
          injected++;
          // Other threads make system calls as well, and a fault may hit one of theirs: what is wrong is so each time.
          let found: string[] = [];
          for (let left = 3; left > 0; left--) {
            found = await faultsOf(name, call, errno, label, without);
            if (found.length === 0) break;
          }
          wrong.push(...found);
        }
      }
    }
  };
  await Promise.all([0, 1].map((half) => share(names.filter((_, i) => i % 2 === half))));
  t.same(wrong, []);
  t.comment(`${injected} faults in ${names.length} calls, ${reached.size} system calls`);
  t.ok(injected > 100);
  const unreached = Object.entries(imported).filter(
    ([, calls]) => calls.length > 0 && !calls.some((call) => reached.has(call)),
  );
  t.same(unreached, [], 'every one of the table is reached');
  t.same(
    numbered.filter((call) => !reached.has(call)),
    [],
    'and every one called by number',
  );
});
