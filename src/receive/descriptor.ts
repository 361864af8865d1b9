// The kernel's facts about a descriptor, put into words.
import type { AddressInfo } from 'node:net';
import { type NativeAddress, type NativeFacts, binding, systemError } from '../system/addon.js';
import { fs } from '../system/builtins.js';
import { formatAddress } from '../text/address.js';
import { badValue } from '../text/options.js';

/**
 * The kind of a descriptor: a socket, of which `family` and `type` say more, a FIFO or pipe, `special` for a character device or
 * a regular file, or a POSIX message queue.
 */
export type Kind = 'socket' | 'fifo' | 'special' | 'mqueue' | 'other';

/** An address family, by name or as the number that `AF_*` has. */
export type SocketFamily = 'unix' | 'inet' | 'inet6' | 'netlink' | 'vsock' | number;

/** A socket type, by name or as the number that `SOCK_*` has. */
export type SocketType = 'stream' | 'dgram' | 'seqpacket' | 'raw' | number;

/** The protocol of an IP socket, by name or as the number that `IPPROTO_*` has. */
export type SocketProtocol = 'tcp' | 'udp' | 'mptcp' | 'sctp' | 'udplite' | number;

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
  /** Its kind. */
  readonly kind: Kind;
  /** The address family; null if it is not a socket. */
  readonly family: SocketFamily | null;
  /** The socket type; null if it is not a socket. */
  readonly type: SocketType | null;
  /** The protocol, IP sockets only. */
  readonly protocol: SocketProtocol | null;
  /** SO_ACCEPTCONN: connections can be accepted from it. */
  readonly listening: boolean;
  /** It has a peer: an accepted connection (Accept=yes), a connected datagram socket or half of a pair. */
  readonly connected: boolean;
  /** The result of `server.address()`; a path or an address string for other kinds; null if it has none. */
  readonly address: AddressInfo | string | null;
  /** The other end of a connected socket. */
  readonly peer: AddressInfo | string | null;
  /** The length of the accept queue in force, listeners only; null if the kernel does not tell. */
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
export const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3, SEQPACKET: 5 } as const;

/** The kernel's words, which describe(), `listenfds inspect` and the predicates of listenfds/sd share. */
export const families = {
  unix: AF.UNIX,
  inet: AF.INET,
  inet6: AF.INET6,
  netlink: AF.NETLINK,
  vsock: AF.VSOCK,
} as const;
export const types = { stream: SOCK.STREAM, dgram: SOCK.DGRAM, raw: SOCK.RAW, seqpacket: SOCK.SEQPACKET } as const;
const protocols = { tcp: 6, udp: 17, sctp: 132, udplite: 136, mptcp: 262 } as const;

/** The word for a number; the number itself if there is none. */
function wordFor<T extends string>(words: Readonly<Record<T, number>>, value: number): T | number {
  for (const word of Object.keys(words) as T[]) if (words[word] === value) return word;
  return value;
}

function kindOf(facts: NativeFacts): Kind {
  switch (facts.mode & fs.constants.S_IFMT) {
    case fs.constants.S_IFSOCK:
      return 'socket';
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

/** What /proc says a descriptor is: a path if it has one, `anon_inode:[…]` for what is only a kernel object. */
export function procLink(fd: number): string | null {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return null; // no /proc here, or the path is longer than a page
  }
}

/** Puts the kernel's facts into words; asks /proc for the path if it is not a socket. */
export function describeFacts(facts: NativeFacts): Description {
  const { domain, protocol = 0 } = facts;
  const isSocket = domain !== undefined;
  const isIp = domain === AF.INET || domain === AF.INET6;
  const connected = isPeer(facts.peer);
  return {
    fd: facts.fd,
    kind: kindOf(facts),
    family: isSocket ? wordFor(families, domain) : null,
    type: isSocket ? wordFor(types, facts.type!) : null,
    protocol: isIp ? wordFor(protocols, protocol) : null,
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

/** Refuses anything but a descriptor number before it reaches the kernel, where -100 would mean the working directory. */
export function checkFd(fd: unknown): asserts fd is number {
  if (!Number.isInteger(fd) || (fd as number) < 0 || (fd as number) > 0x7fffffff) {
    throw badValue('fd', fd, 'a descriptor, a whole number from 0 to 2147483647');
  }
}

/**
 * The facts of any open descriptor of this process, inherited or not.
 *
 * @example
 * describe(3) // { fd: 3, kind: 'socket', family: 'inet6', type: 'stream', listening: true, address: { address: '::', family: 'IPv6', port: 80 }, … }
 *
 * @throws ListenFdsError LISTENFDS_BAD_OPTION if that is not a descriptor number, LISTENFDS_NO_ADDON
 * @throws an Error with code EBADF for a closed one
 */
export function describe(fd: number): Description {
  checkFd(fd);
  const facts = binding().facts(fd);
  if (typeof facts === 'number') throw systemError(facts, 'describe', `fd ${fd}`);
  return describeFacts(facts);
}

/** Whether `fd` is still open on the same thing: a number may have been closed, and taken by something else. */
export function isOpenOn(fd: number, { inode }: Description): boolean {
  const facts = binding().facts(fd);
  return (
    typeof facts !== 'number' &&
    facts.inode === inode.number &&
    facts.deviceMinor === inode.minor &&
    facts.deviceMajor === inode.major
  );
}

/** The fields by which a descriptor is known. */
type Sort = Pick<Description, 'kind' | 'family' | 'type' | 'protocol'>;

/** `inet stream`, `unix dgram`, `fifo`: what a descriptor is, in one or two words. */
export function wordsFor({ kind, family, type, protocol }: Sort): string {
  if (kind !== 'socket') return kind;
  const usual = protocol === null || protocol === 'tcp' || protocol === 'udp';
  return [
    typeof family === 'number' ? `family-${family}` : family,
    typeof type === 'number' ? `type-${type}` : type,
    ...(usual ? [] : [typeof protocol === 'number' ? `protocol-${protocol}` : protocol]),
  ].join(' ');
}

/** TCP, and MPTCP, which differs in nothing that matters here. */
export function isTcp({ type, protocol }: Sort): boolean {
  return type === 'stream' && (protocol === 'tcp' || protocol === 'mptcp');
}

export function isUdp({ type, protocol }: Sort): boolean {
  return type === 'dgram' && protocol === 'udp';
}

export function isUnix({ family, type }: Sort, wanted: SocketType = 'stream'): boolean {
  return family === 'unix' && type === wanted;
}

export function isVsock({ family, type }: Sort): boolean {
  return family === 'vsock' && type === 'stream';
}

/** Whether Node's own servers can listen on it. */
export const isNodeStream = (one: Sort): boolean => isTcp(one) || isUnix(one);

/** One descriptor in one line, as messages and listings show it: `fd 3 web inet stream 0.0.0.0:80 listening`. */
export function summary(descriptor: { readonly name?: string; readonly description: Description }): string {
  const { name, description } = descriptor;
  const { fd, address } = description;
  const state = description.listening ? ' listening' : description.connected ? ' connected' : '';
  return `fd ${fd} ${name === undefined ? '' : `${name} `}${wordsFor(description)} ${formatAddress(address)}${state}`;
}
