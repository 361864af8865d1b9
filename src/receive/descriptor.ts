// What a descriptor is: the kernel's facts put into words.
import type { AddressInfo } from 'node:net';
import { type NativeAddress, type NativeFacts, binding, systemError } from '../system/addon.js';
import { fs, util } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { formatAddress } from '../text/address.js';

/**
 * What a descriptor can be, one word per `Listen*=` directive:
 * tcp (MPTCP too), unix and vsock are ListenStream=, udp and unixgram ListenDatagram=, unixpacket
 * ListenSequentialPacket=, special is a character device or a regular file, mqueue a POSIX message queue.
 */
export type Kind =
  'tcp' | 'unix' | 'udp' | 'unixgram' | 'unixpacket' | 'vsock' | 'netlink' | 'fifo' | 'special' | 'mqueue' | 'other';

/** Which file a descriptor is open on, stat(2): two descriptors with the same three numbers are one object. */
export interface Inode {
  /** The major number of its device. */
  readonly major: number;
  /** The minor number of its device. */
  readonly minor: number;
  /** The inode's number on that device. */
  readonly number: number;
}

/** The facts of one descriptor at the moment of asking. */
export interface Description {
  /** Its number. */
  readonly fd: number;
  /** What it is. */
  readonly kind: Kind;
  /** SO_ACCEPTCONN: connections can be accepted from it. */
  readonly listening: boolean;
  /** It has a peer: an accepted connection (Accept=yes), a connected datagram socket or half of a pair. */
  readonly connected: boolean;
  /** What `server.address()` would say; a path or an address string for the rest; null where it has none. */
  readonly address: AddressInfo | string | null;
  /** The other end of a connected socket. */
  readonly peer: AddressInfo | string | null;
  /** The length of the accept queue in force, listeners only; null where the kernel does not tell. */
  readonly backlog: number | null;
  /** Connections in that queue now. */
  readonly queued: number | null;
  /** FD_CLOEXEC: closed in every program this process starts. */
  readonly cloexec: boolean;
  /** IPV6_V6ONLY, IPv6 sockets only. */
  readonly ipv6Only: boolean | null;
  /** SO_REUSEPORT, IP sockets only. */
  readonly reusePort: boolean | null;
  /** Opened for reading; true for every socket. */
  readonly readable: boolean;
  /** Opened for writing; true for every socket. */
  readonly writable: boolean;
  /** mq_getattr(3), message queues only. */
  readonly messageQueue: {
    /** How many messages it holds. */
    readonly maxMessages: number;
    /** How long one may be, in bytes. */
    readonly messageSize: number;
    /** How many wait now. */
    readonly messages: number;
  } | null;
  /** Device and inode of the descriptor itself. */
  readonly inode: Inode;
  /** Device and inode (its low 32 bits) of the file a unix listener or datagram socket is bound to; it need not be at `address` any more. */
  readonly boundInode: Inode | null;
}

// <sys/socket.h> and <netinet/in.h> of Linux, the same on every architecture Node runs on.
export const AF = { UNIX: 1, INET: 2, INET6: 10, NETLINK: 16, VSOCK: 40 } as const;
export const SOCK = { STREAM: 1, DGRAM: 2, SEQPACKET: 5 } as const;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const IPPROTO_MPTCP = 262;

const unixKinds: Partial<Record<number, Kind>> = {
  [SOCK.STREAM]: 'unix',
  [SOCK.DGRAM]: 'unixgram',
  [SOCK.SEQPACKET]: 'unixpacket',
};

function socketKind({ domain, type, protocol }: NativeFacts): Kind {
  switch (domain) {
    case AF.INET:
    case AF.INET6:
      if (type === SOCK.STREAM && (protocol === IPPROTO_TCP || protocol === IPPROTO_MPTCP)) return 'tcp';
      return type === SOCK.DGRAM && protocol === IPPROTO_UDP ? 'udp' : 'other';
    case AF.UNIX:
      return unixKinds[type!] ?? 'other';
    case AF.VSOCK:
      return type === SOCK.STREAM ? 'vsock' : 'other';
    case AF.NETLINK:
      return 'netlink';
    default:
      return 'other';
  }
}

function kindOf(facts: NativeFacts): Kind {
  switch (facts.mode & fs.constants.S_IFMT) {
    case fs.constants.S_IFSOCK:
      return socketKind(facts);
    case fs.constants.S_IFIFO:
      return 'fifo';
    case fs.constants.S_IFCHR:
      return 'special';
    case fs.constants.S_IFREG:
      return facts.messageQueue ? 'mqueue' : 'special';
    default:
      return 'other';
  }
}

// netlink(7); the names ListenNetlink= takes.
export const netlinkFamilies: Partial<Record<number, string>> = {
  0: 'route',
  5: 'nflog',
  6: 'xfrm',
  7: 'selinux',
  8: 'iscsi',
  9: 'audit',
  10: 'fib-lookup',
  11: 'connector',
  12: 'netfilter',
  14: 'dnrtmsg',
  15: 'kobject-uevent',
  16: 'generic',
  18: 'scsitransport',
  19: 'ecryptfs',
  20: 'rdma',
  21: 'crypto',
};

const anyCid = 0xffffffff;

function presentAddress(address: NativeAddress | null | undefined, protocol: number): AddressInfo | string | null {
  if (!address) return null;
  switch (address.family) {
    case AF.INET:
      return { address: address.address!, family: 'IPv4', port: address.port! };
    case AF.INET6:
      return { address: address.address!, family: 'IPv6', port: address.port! };
    case AF.UNIX:
      return address.path ?? null;
    case AF.VSOCK:
      return formatAddress({ kind: 'vsock', cid: address.cid === anyCid ? null : address.cid!, port: address.port! });
    case AF.NETLINK:
      return `${netlinkFamilies[protocol] ?? protocol} ${address.groups}`;
    default:
      return null;
  }
}

/** Whether a socket has the peer that getpeername(2) told. Netlink always tells one: 0 is the kernel, by default. */
function isPeer(peer: NativeAddress | null | undefined): boolean {
  if (!peer) return peer === null;
  return peer.family !== AF.NETLINK || peer.pid !== 0 || peer.groups !== 0;
}

/** What /proc says a descriptor is: a path for what has one, `anon_inode:[…]` for what is only a kernel object. */
export function procLink(fd: number): string | null {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return null; // no /proc here, or the path is longer than a page
  }
}

/** Puts the kernel's facts into words; asks /proc for the path of what is no socket. */
export function describeFacts(facts: NativeFacts): Description {
  const kind = kindOf(facts);
  const isSocket = facts.domain !== undefined;
  const protocol = facts.protocol ?? 0;
  const connected = isPeer(facts.peer);
  return {
    fd: facts.fd,
    kind,
    listening: facts.listening ?? false,
    connected,
    address: isSocket ? presentAddress(facts.local, protocol) : procLink(facts.fd),
    peer: connected ? presentAddress(facts.peer, protocol) : null,
    backlog: facts.backlog ?? null,
    queued: facts.queued ?? null,
    cloexec: facts.cloexec,
    ipv6Only: facts.ipv6Only ?? null,
    reusePort: facts.reusePort ?? null,
    readable: facts.readable ?? true,
    writable: facts.writable ?? true,
    messageQueue: facts.messageQueue ?? null,
    inode: { major: facts.deviceMajor, minor: facts.deviceMinor, number: facts.inode },
    boundInode:
      facts.boundInode === undefined
        ? null
        : { major: facts.boundDeviceMajor!, minor: facts.boundDeviceMinor!, number: facts.boundInode },
  };
}

/** Refuses what is no descriptor number before it reaches the kernel, where -100 would mean the working directory. */
export function checkFd(fd: unknown): asserts fd is number {
  if (!Number.isInteger(fd) || (fd as number) < 0 || (fd as number) > 0x7fffffff) {
    throw new ListenFdsError('LISTENFDS_BAD_OPTION', `${util.inspect(fd)} is not a file descriptor`);
  }
}

/**
 * The facts of any open descriptor of this process, inherited or not.
 *
 * @example
 * describe(3) // { fd: 3, kind: 'tcp', listening: true, address: { address: '::', family: 'IPv6', port: 80 }, … }
 *
 * @throws ListenFdsError LISTENFDS_BAD_OPTION for what is no descriptor number, LISTENFDS_NO_ADDON
 * @throws an Error with code EBADF for a closed one
 */
export function describe(fd: number): Description {
  checkFd(fd);
  const facts = binding().facts(fd);
  if (typeof facts === 'number') throw systemError(facts, 'describe', `fd ${fd}`);
  return describeFacts(facts);
}

/** Whether `fd` is open on what was described: a number may have been closed, and taken by something else. */
export function isOpenOn(fd: number, { inode }: Description): boolean {
  const facts = binding().facts(fd);
  return (
    typeof facts !== 'number' &&
    facts.inode === inode.number &&
    facts.deviceMinor === inode.minor &&
    facts.deviceMajor === inode.major
  );
}

/** One descriptor in one line, as messages and listings show it: `fd 3 web tcp 0.0.0.0:80 listening`. */
export function summary(descriptor: {
  readonly fd: number;
  readonly name?: string;
  readonly kind: Kind;
  readonly listening: boolean;
  readonly connected: boolean;
  readonly address: AddressInfo | string | null;
}): string {
  const { fd, name, kind, address } = descriptor;
  const state = descriptor.listening ? ' listening' : descriptor.connected ? ' connected' : '';
  return `fd ${fd} ${name === undefined ? '' : `${name} `}${kind} ${formatAddress(address)}${state}`;
}
