// Which tests run on arm64 under qemu, and what qemu-user cannot do: it translates system calls, and knows not all of them.

/** The files that call the addon; the others are the same JavaScript on every CPU. */
export const emulated = [
  'admit/authorize',
  'admit/peer',
  'listen/accept-yes',
  'listen/adopt',
  'listen/listen',
  'manager/notify',
  'manager/notify-barrier',
  'manager/notify-vsock',
  'manager/watchdog',
  'open/bind',
  'open/bind-abstract',
  'programs/spawn',
  'receive/describe',
  'receive/inherited',
  'receive/predicates',
  'sockets/datagram',
  'sockets/fifo',
  'sockets/message-queue',
  'sockets/netlink',
  'sockets/sequential-packet',
  'sockets/special',
  'sockets/vsock',
  'take/stdin',
].map((name) => `test/${name}.test.ts`);

// As found with qemu-user 7.2, by a small C program for each.
const tcpInfo = 'TCP_INFO has 4 bytes, and there is no sock_diag: no backlog is known';
const peerGroups = 'SO_PEERGROUPS fails with ERANGE: no groups are known';
const noCookie = 'SO_COOKIE fails with EINVAL: no socket is kept from one message to the next';
const noSubreaper = 'PR_SET_CHILD_SUBREAPER: EINVAL';
const userNamespace = 'not qemu: scripts/emulate runs in a user namespace, whose root may not speak for others';

/**
 * File → start of the name of a test → why it cannot pass there.
 *
 * @type {Record<string, Record<string, string>>}
 */
const limits = {
  'test/admit/authorize.test.ts': {
    'groups count as the kernel recorded them': peerGroups,
    'examples/authorized.js is what': peerGroups,
  },
  'test/open/bind.test.ts': { 'the backlog is that of a socket unit': tcpInfo },
  'test/sockets/datagram.test.ts': { 'what comes beside a message is told': 'SO_TIMESTAMPNS: ENOPROTOOPT' },
  'test/receive/describe.test.ts': {
    'IP sockets are described with protocol, address and backlog': tcpInfo,
    'unix sockets are described with path, type and backlog': tcpInfo,
    'backlog and queue are what ss(8) says': tcpInfo,
    'a backlog over the limit of the kernel is the limit': tcpInfo,
  },
  'test/receive/inherited.test.ts': { 'what was passed, in its order, with its names': tcpInfo },
  'test/listen/adopt.test.ts': {
    "the manager's backlog stays as it is": tcpInfo,
    'a unix socket is found by the path it has been moved to': tcpInfo,
    'the successor of a program that bound its path itself': tcpInfo,
  },
  'test/sockets/netlink.test.ts': { 'uevents of the kernel and of udev are read': userNamespace },
  'test/manager/notify.test.ts': {
    'pid speaks for another process': userNamespace,
    'a descriptor that was closed behind our back': noCookie,
  },
  'test/admit/peer.test.ts': { 'ids and groups are those of the process': peerGroups },
  'test/programs/spawn.test.ts': {
    'a group of its own is killed as a whole': noSubreaper,
    'descendants whose parent has gone': noSubreaper,
  },
  'test/take/stdin.test.ts': { 'a listening socket on stdin is adopted': tcpInfo },
};

/**
 * @param {string} file
 * @param {string} test
 * @returns {string | null} why it cannot pass under the emulator
 */
export function underEmulator(file, test) {
  const known = Object.entries(limits[file] ?? {}).find(([start]) => test.startsWith(start));
  return known ? known[1] : null;
}
