// Why something of a file is in the table of docs/maintainers/coverage.md. Whoever changes a file so that another line is not run says why here,
// or writes the test.

const fault = 'a system call fails: injected by test/system/faults.test.ts, whose processes are not counted';
const handOver = 'what to do with a descriptor after such an error';
const race = 'somebody else is faster: a path, a process or a connection is gone between two steps';
const other = 'another runtime, kernel or system';
const copy = 'the second copy of the package in a process, or the first: each bundle has one of the two ways';
const vsock = 'needs the vsock loopback, which the kernel here lacks';
const label = 'needs a kernel with security labels';
const gone = 'ends by the signal itself, and writes no counts';
const words = 'how an error or a row is worded';
const defaults = 'a default, where all callers give the value, or none';
const reference = 'nothing to do: it is closed already';
const forked = 'runs in the child between fork(2) and execve(2), where gcov does not write';
const option = 'an option that only together with another is refused, or not given';

/** @type {Record<string, string>} */
const all = {
  'native/address.cc': 'an address longer than its structure: the kernel gives none; fuzzed (test/fuzz)',
  'native/call.cc': 'arguments of wrong types, which TypeScript does not let through: fuzzed (test/fuzz)',
  'native/control.cc': `SO_PEERSEC and SCM_PIDFD (${label}; PassPIDFD= needs systemd 257); malformed messages: fuzzed`,
  'native/descriptor.cc': fault,
  'native/files.cc': fault,
  'native/facts.cc': fault,
  'native/fortify.cc': 'a copy that does not fit ends the process: test/package/prebuild.test.ts',
  'native/inet.cc': fault,
  'native/launch.cc': `${forked}; ${fault}`,
  'native/message.cc': `${label}; ${fault}`,
  'native/mqueue.cc': fault,
  'native/notify.cc': `${vsock}; a message or a queue larger than the first attempt; ${fault}`,
  'native/peer.cc': `${label}; ${other}; ${fault}`,
  'native/poll.cc': `libuv has no memory, or no loop; ${reference}; ${fault}`,
  'native/process.cc': fault,
  'native/queue.cc': 'answers of the kernel that are short or about something else: fuzzed',
  'native/socket-address.cc':
    'addresses that the kernel does not give, and texts that TypeScript does not let through: fuzzed; bindInet() with IPv6: the command binds the wildcard',
  'native/send.cc': fault,
  'native/socket.cc': fault,
  'native/users.cc': `a group with more members than the first buffer holds; ${fault}`,
  'src/admit/authorize.ts': 'nobody subscribes to the channel',
  'src/listen/bind.ts': `${race}; ${other}; ${fault}`,
  'src/receive/choose.ts': race,
  'src/cli/command-line.ts': 'util.parseArgs() gives no such token',
  'src/cli/completion.ts': words,
  'src/cli/dispatcher.ts': `${race}; a stop while nothing runs`,
  'src/cli/findings.ts': words,
  'src/cli/inspect.ts': `${words}; a process of another user, and of a unit: seen in test/systemd, where the command exits before it writes counts`,
  'src/cli/main.ts': 'an error that is a bug',
  'src/cli/manager.ts': `${race}; ${words}; a hang-up, whose process ${gone}`,
  'src/cli/open.ts': `${vsock}; ${other} without IPv6; ${words}`,
  'src/cli/proc.ts': `${race}; /proc without the file: ${other}`,
  'src/cli/run.ts': `${option}; ${gone}`,
  'src/cli/socket-options.ts': option,
  'src/cli/systemctl.ts': 'systemd-analyze fdstore came with systemd 254; a unit that has only one of the two',
  'src/cli/terminal.ts': 'the reader of standard output is gone or slow',
  'src/cli/unit-files.ts': words,
  'src/cli/unit.ts': `${option}; notes about home directories; systemctl that fails: a stand-in is installed in its place`,
  'src/cli/watch.ts': `${race}; inotify is full; patterns: test/cli/watch-globs.test.ts reads the source, not dist/`,
  'src/receive/descriptor.ts': 'kinds of sockets that nobody has, such as SCTP',
  'src/text/duration.ts': defaults,
  'src/text/environment.ts': 'LISTEN_PIDFDID= of another process: needs systemd 259',
  'src/system/errors.ts': defaults,
  'src/programs/executable.ts': `${defaults}; a folder in PATH that is called like the program`,
  'src/listen/frameworks/shapes.ts':
    'shapes without a close() or an upgrade handler; the hint for a constructor without a name',
  'src/listen/frameworks/adapt.ts': 'a framework whose own close() has closed the server before, or has not',
  'src/admit/gate.ts': 'a TLS connection without a raw one below it: other streams than sockets',
  'src/receive/inherited.ts': `${copy}; ${other}; ${fault}`,
  'src/receive/stdin.ts': fault,
  'src/lend/lender.ts': `${reference}; ${fault}`,
  'src/preload/life.ts': `${gone}; ${race}; a manager that refuses a message`,
  'src/preload/preload.ts': defaults,
  'src/lend/redirect.ts': `${defaults}; a path that is too long; ${handOver}`,
  'src/lend/to-workers.ts': `${race}; ${copy}`,
  'src/receive/from-primary.ts': 'a worker that takes twice, or whose primary is another by now',
  'src/listen/listen.ts': `${other}: a server that listens elsewhere than on its descriptor (Bun; test/package/runtimes.test.ts)`,
  'src/system/addon.ts': `${other}: musl, a folder with spaces; the first call of many`,
  'src/text/notify-state.ts': defaults,
  'src/manager/notify.ts': `${fault}; ${other}`,
  'src/open/own.ts': copy,
  'src/admit/peer.ts': `${label}; ${other}; ${fault}`,
  'src/receive/predicates.ts': 'arguments that TypeScript refuses; names that the kernel does not give',
  'src/preload/register.ts': `standard input is closed; ${other}`,
  'src/service/connections.ts': race,
  'src/service/control.ts': race,
  'src/service/drain.ts': `${race}; ${defaults}; HTTP/2 over a stream that is no socket`,
  'src/service/entry.ts': 'the first call of many',
  'src/service/idle.ts': 'an HTTP/2 stream without a connection that is busy',
  'src/admit/limits.ts': 'arguments that TypeScript refuses; a connection that is gone already',
  'src/service/options.ts': 'arguments that TypeScript refuses',
  'src/service/serve.ts': `${race}; ${gone}; ${defaults}`,
  'src/service/status.ts': 'nobody subscribes to the channel',
  'src/service/successor.ts': `somebody else on the other end (test/service/upgrade-channel.test.ts, by another user, who writes no counts); ${copy}`,
  'src/service/upgrade.ts': `${defaults}; ${race}; a manager that refuses a message`,
  'src/sockets/acceptor.ts': `${race}; ${fault}`,
  'src/sockets/attach.ts': 'Node.js without the counter; a listener that is closed in the same turn',
  'src/sockets/accepted.ts': `${vsock}: what Node.js takes itself is no stream of ours`,
  'src/sockets/datagram.ts': `${defaults}; ${other} without IPv6; ${handOver}; ${label}`,
  'src/sockets/descriptor-stream.ts': vsock,
  'src/system/errnos.ts': defaults,
  'src/sockets/fifo.ts': `${handOver}; ${fault}`,
  'src/sockets/mailbox.ts': `${reference}; a timer that is not there; ${fault}`,
  'src/sockets/message-queue.ts': `${handOver}; ${fault}`,
  'src/sockets/netlink.ts': `${handOver}; ${fault}; events without the fields that all have`,
  'src/sockets/polled-duplex.ts': `a shortage of memory or buffers; ${fault}; a write that is only begun: a stream of ours is vsock's`,
  'src/sockets/receive.ts': `${label}; ${copy}`,
  'src/sockets/sequential-packet.ts': `${handOver}; ${reference}; ${fault}`,
  'src/sockets/special.ts': `a device that takes a part, or fails; ${fault}`,
  'src/sockets/unix.ts': `${race}; ${handOver}; ${fault}`,
  'src/sockets/vsock.ts': vsock,
  'src/system/watcher.ts': 'nothing is waited for any more: the poll is stopped by its close',
  'src/programs/spawn.ts': `${race}; ${other}: no /proc, or an unknown signal`,
  'src/take/stored.ts': `${race}; a store with something else under the name; a manager that refuses a message`,
  'src/take/take.ts': `standard input is closed; ${other}; a worker before its primary (test/lend/cluster.test.ts, which ends it)`,
  'src/take/target.ts': `${words}; arguments that TypeScript refuses`,
};

export const reasons = Object.freeze(all);
