import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { describe, ListenFdsError } from 'listenfds';
import type { Description } from '../../src/receive/descriptor.ts';
import t, { type Test } from 'tap';
import { activateModule, resultOf, type Passed } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { mptcpQueue, tcpQueue, unixQueue } from '../support/queues.ts';
import { unless, without } from '../support/tools.ts';

const program = (count: number): string => `
    import { describe } from 'listenfds';
  console.log(JSON.stringify(Array.from({ length: ${count} }, (_, i) => describe(3 + i))));
`;

/** What describe() says about each of them in a program that was given them. */
function described(t: Test, ...fds: Passed[]): Promise<Description[]> {
  return resultOf<Description[]>(t, program(fds.length), { fds, count: null });
}

t.test('IP sockets are described with protocol, address and backlog', { skip: without('python3') }, async (t) => {
  const [tcp4, tcp6, v6only, mptcp, udp4, udp6, accepted, bound] = await described(
    t,
    'tcp("127.0.0.1", 0, 17)',
    'tcp("::", 0, 18)',
    'tcp("::1", 0, 19, v6only=1, reuseport=1)',
    'mptcp("127.0.0.1", 0, 20)',
    'udp("0.0.0.0")',
    'udp("::1", v6only=1)',
    'accepted()',
    'tcp("127.0.0.1", 0, None)',
  );
  const socket = { readable: true, writable: true, messageQueue: null, boundInode: null };
  const tcp = { kind: 'socket', type: 'stream', protocol: 'tcp' };
  const listener = { ...socket, ...tcp, listening: true, connected: false, peer: null, queued: 0 };
  const four = { address: '127.0.0.1', family: 'IPv4', port: Number };
  t.match(tcp4, { ...listener, fd: 3, family: 'inet', address: four, backlog: 17, ipv6Only: null, reusePort: false });
  t.match(tcp6, {
    ...listener,
    fd: 4,
    family: 'inet6',
    address: { address: '::', family: 'IPv6' },
    backlog: 18,
    ipv6Only: false,
  });
  t.match(v6only, {
    ...listener,
    fd: 5,
    family: 'inet6',
    address: { address: '::1' },
    backlog: 19,
    ipv6Only: true,
    reusePort: true,
  });
  t.match(mptcp, { ...listener, fd: 6, family: 'inet', protocol: 'mptcp', address: four, backlog: 20 });
  const udp = { kind: 'socket', type: 'dgram', protocol: 'udp' };
  const datagram = { ...socket, ...udp, listening: false, connected: false, backlog: null, queued: null };
  t.match(udp4, {
    ...datagram,
    family: 'inet',
    address: { address: '0.0.0.0', family: 'IPv4', port: Number },
    peer: null,
  });
  t.match(udp6, {
    ...datagram,
    family: 'inet6',
    address: { address: '::1', family: 'IPv6', port: Number },
    ipv6Only: true,
  });
  t.match(accepted, { ...socket, ...tcp, listening: false, connected: true, address: four, peer: four });
  t.notSame(accepted?.peer, accepted?.address);
  t.match(bound, { ...socket, ...tcp, listening: false, connected: false, address: four, backlog: null });
});

const linkLocal = Object.entries(networkInterfaces())
  .flatMap(([name, addresses]) => (addresses ?? []).map(({ address }) => `${address}%${name}`))
  .find((address) => address.startsWith('fe80:'));
const noLinkLocal = linkLocal === undefined && 'needs an interface with a link-local IPv6 address';

t.test('a link-local address has its interface, as in Node', { skip: noLinkLocal }, async (t) => {
  const { address, node } = await resultOf(
    t,
    `import { describe } from 'listenfds';
     import { createServer } from 'node:net';
     const { address } = describe(3);
     const server = createServer().listen({ fd: 3 }, () => {
       console.log(JSON.stringify({ address, node: server.address() }));
       server.close();
     });`,
    { fds: [`tcp("${linkLocal}")`], count: null },
  );
  t.equal(address.address, linkLocal);
  t.same(address, node);
});

t.test('unix sockets are described with path, type and backlog', { skip: without('python3') }, async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'söcket').padEnd(105, '-');
  const name = `@lfd ${folder}`;
  const [byPath, abstract, unnamed, packets, datagrams, anyDatagrams, pair] = await described(
    t,
    `unix("${path}", 17)`,
    `unix("${name}", 18)`,
    'unix(None, None)',
    `unix_seqpacket("${path}2", 19)`,
    `unix_dgram("${path}3")`,
    'unix_dgram()',
    'connected()',
  );
  const listener = {
    listening: true,
    connected: false,
    peer: null,
    queued: 0,
    ipv6Only: null,
    reusePort: null,
    protocol: null,
  };
  t.match(byPath, {
    ...listener,
    kind: 'socket',
    family: 'unix',
    type: 'stream',
    address: path,
    backlog: 17,
    boundInode: { number: Number },
  });
  t.match(abstract, {
    ...listener,
    kind: 'socket',
    family: 'unix',
    type: 'stream',
    address: `\0${name.slice(1)}`,
    backlog: 18,
    boundInode: null,
  });
  t.match(unnamed, {
    kind: 'socket',
    family: 'unix',
    type: 'stream',
    listening: false,
    connected: false,
    address: null,
    backlog: null,
  });
  t.match(packets, {
    ...listener,
    kind: 'socket',
    family: 'unix',
    type: 'seqpacket',
    address: `${path}2`,
    backlog: 19,
  });
  t.match(datagrams, {
    kind: 'socket',
    family: 'unix',
    type: 'dgram',
    listening: false,
    connected: false,
    address: `${path}3`,
  });
  t.match(anyDatagrams, { kind: 'socket', family: 'unix', type: 'dgram', address: null });
  t.match(pair, {
    kind: 'socket',
    family: 'unix',
    type: 'stream',
    listening: false,
    connected: true,
    address: null,
    peer: null,
  });
});

t.test('files, FIFOs, terminals and pipes are described as what they are', { skip: without('python3') }, async (t) => {
  const folder = temporaryFolder(t);
  const [fifo, tty, file, eventfd, pipe, writable, directory] = await described(
    t,
    `fifo("${folder}/fifo")`,
    'special("/dev/null", os.O_RDWR)',
    `special("/etc/passwd")`,
    'eventfd()',
    'os.pipe()[0]',
    `special("${folder}/log", os.O_WRONLY | os.O_CREAT)`,
    `special("${folder}")`,
  );
  const plain = {
    listening: false,
    connected: false,
    peer: null,
    backlog: null,
    queued: null,
    messageQueue: null,
    family: null,
    type: null,
  };
  t.match(fifo, { ...plain, kind: 'fifo', address: `${folder}/fifo`, readable: true, writable: true });
  t.match(tty, { ...plain, kind: 'special', address: '/dev/null', readable: true, writable: true });
  t.match(file, { ...plain, kind: 'special', address: '/etc/passwd', readable: true, writable: false });
  t.match(eventfd, { ...plain, kind: 'other', address: 'anon_inode:[eventfd]' });
  t.match(pipe, { ...plain, kind: 'fifo', readable: true, writable: false });
  t.match(writable, { ...plain, kind: 'special', readable: false, writable: true });
  t.match(directory, { ...plain, kind: 'other', address: folder });
});

t.test('a message queue is described with its limits', { skip: without('python3') }, async (t) => {
  const [mqueue] = await described(t, `mqueue("/lfd-${process.pid}", 5, 100)`);
  t.match(mqueue, {
    kind: 'mqueue',
    address: `/lfd-${process.pid}`,
    messageQueue: { maxMessages: 5, messageSize: 100, messages: 0 },
  });
});

t.test('netlink sockets are written as ListenNetlink= is', { skip: without('python3') }, async (t) => {
  const [uevents, routes] = await described(t, 'netlink(15, 1)', 'netlink(0, 16)');
  t.match(uevents, {
    kind: 'socket',
    family: 'netlink',
    type: 'raw',
    address: 'kobject-uevent 1',
    listening: false,
    connected: false,
  });
  t.match(routes, { kind: 'socket', family: 'netlink', type: 'raw', address: 'route 16' });
});

const vsock = spawnSync('python3', ['-c', 'import socket; socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)']);
t.test(
  'a vsock listener is described',
  { skip: unless(vsock.status === 0, 'needs a kernel with vsock') },
  async (t) => {
    const [listener] = await described(t, 'vsock()');
    t.match(listener, { family: 'vsock', type: 'stream', listening: true, address: /^vsock::[0-9]+$/, backlog: null });
  },
);

t.test('backlog and queue are what ss(8) says', { skip: without('python3', 'ss') }, async (t) => {
  const path = join(temporaryFolder(t), 's');
  const source = `${program(4)} process.stdin.resume();`;
  const fds = [
    'queued(tcp("127.0.0.1", 0, 9), 3)',
    `queued(unix("${path}", 7), 2)`,
    'queued(mptcp("127.0.0.1", 0, 11), 1)',
    `unix("@${path}", 5)`,
  ];
  const running = activateModule(t, source, { fds, count: null, stdin: 'connected()' });
  const [tcp, unix, mptcp, abstract] = await running.json<Description[]>();
  const port = (description?: Description): number => (description!.address as { port: number }).port;
  t.same({ queued: tcp?.queued, backlog: tcp?.backlog }, tcpQueue(port(tcp)));
  t.same(tcpQueue(port(tcp)), { queued: 3, backlog: 9 });
  t.same({ queued: unix?.queued, backlog: unix?.backlog }, unixQueue(path));
  t.same(unixQueue(path), { queued: 2, backlog: 7 });
  t.same({ queued: mptcp?.queued, backlog: mptcp?.backlog }, mptcpQueue(port(mptcp)));
  t.equal(mptcpQueue(port(mptcp)).backlog, 11);
  t.same({ queued: abstract?.queued, backlog: abstract?.backlog }, unixQueue(`@${path}`));
});

t.test('a backlog over the limit of the kernel is the limit', { skip: without('python3') }, async (t) => {
  const most = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));
  const path = join(temporaryFolder(t), 's');
  const found = await described(t, 'tcp("127.0.0.1", 0, 2147483647)', `unix("${path}", 2147483647)`);
  t.same(
    found.map(({ backlog }) => backlog),
    [most, most],
  );
});

t.test('cloexec tells whether a child would inherit a descriptor', { skip: without('python3') }, async (t) => {
  // Node itself sets FD_CLOEXEC at its start, but gives up at the first gap behind number 15.
  const [first, last] = await resultOf(
    t,
    `import { describe } from 'listenfds'; console.log(JSON.stringify([describe(3).cloexec, describe(103).cloexec]));`,
    { fds: ['tcp()', ...Array<null>(99).fill(null), 'tcp()'], count: null },
  );
  t.equal(first, true);
  t.equal(last, false);
});

t.test('a closed descriptor fails with EBADF', (t) => {
  t.throws(() => describe(999_999), { code: 'EBADF', syscall: 'describe', message: /EBADF.*fd 999999/ });
  t.throws(() => describe(0x7fffffff), { code: 'EBADF' });
  t.end();
});

t.test('what is no descriptor number is refused', (t) => {
  const wrong = [
    -1,
    -100,
    0x80000000,
    2 ** 32,
    2 ** 32 + 3,
    1.5,
    NaN,
    Infinity,
    '3',
    null,
    undefined,
    {},
    [3],
    3n,
    true,
  ];
  for (const fd of wrong) {
    const expected = { code: 'LISTENFDS_BAD_OPTION', message: /^fd is .*, but must be a descriptor/ };
    t.throws(() => describe(fd as number), expected);
    try {
      describe(fd as number);
    } catch (error) {
      t.ok(error instanceof ListenFdsError);
    }
  }
  t.end();
});
