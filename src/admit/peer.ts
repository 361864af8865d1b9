// peerCredentials(): who is on the other end of a unix socket, as the kernel recorded it.
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { checkFd } from '../receive/descriptor.js';
import { binding, systemError } from '../system/addon.js';
import { net } from '../system/builtins.js';
import { EBADF, EINVAL, ENODATA, ENOPROTOOPT, ENOTSOCK, EPFNOSUPPORT, ESRCH } from '../system/errnos.js';
import { ListenFdsError } from '../system/errors.js';
import { handleOf } from '../system/node-server.js';
import { type TableOf, badValue, boolean, readOptions } from '../text/options.js';

/**
 * The process that connected, as it was at that moment, or, asked for at the connecting end, the one that called
 * listen(2). It may have changed its ids, exited or passed the connection on since. unix(7), SO_PEERCRED.
 */
export interface PeerCredentials {
  /**
   * 0 if it is not visible from here (another pid namespace). For log lines: once the process is gone the number may
   * belong to another; `pidfd` never does.
   */
  readonly pid: number;
  /** Effective user id. One that has no number in this user namespace shows as 65534, which is also `nobody`. */
  readonly uid: number;
  /** Effective group id. */
  readonly gid: number;
  /** Supplementary groups, SO_PEERGROUPS; `gid` need not be among them. */
  readonly groups: readonly number[];
  /** SO_PEERSEC: the SELinux, AppArmor or Smack label, null without such a module. */
  readonly label: string | null;
  /**
   * Only with `{ pidfd: true }`: a descriptor of the process itself, SO_PEERPIDFD, which the caller closes. Null before
   * Linux 6.5, and if the process was gone before the kernel could make one.
   */
  readonly pidfd?: number | null;
}

/** Options of {@link peerCredentials}. */
export interface PeerCredentialsOptions {
  /**
   * Also open a pidfd, which the caller closes.
   * @default false
   */
  pidfd?: boolean;
}

/** The options of peerCredentials(). */
export const peerCredentialsOptions = {
  pidfd: { ...boolean, default: false },
} satisfies TableOf<PeerCredentialsOptions>;

const peerDefaults = { pidfd: false };

/** A connection, an object that holds one (an http request), or its descriptor. */
export type PeerSource = Socket | Pick<IncomingMessage, 'socket'> | DescriptorHolder | ConnectionHolder | number;

/** Anything that has a connection, such as a request. */
export interface ConnectionHolder {
  /** The connection. */
  readonly socket: PeerSource;
}

/** Anything that has a descriptor. */
export interface DescriptorHolder {
  /** Its number; negative once it is closed. */
  readonly fd: number;
}

interface Shape {
  readonly fd?: unknown;
  readonly socket?: unknown;
}

// SO_PEERPIDFD: unknown to the kernel; no pid recorded; the process is gone, in the words of different versions.
const noPidfd = new Set([ENOPROTOOPT, ENODATA, ESRCH, EINVAL]);

function closed(): NodeJS.ErrnoException {
  return systemError(EBADF, 'getsockopt', 'of a socket that is closed');
}

function connectionFd(source: unknown): number {
  if (typeof source === 'object' && source !== null) {
    const { fd, socket } = source as Shape;
    const handle = handleOf(source);
    // net and tls sockets: libuv's handle, gone once they are destroyed, -1 while it closes.
    if (handle !== undefined) {
      if (handle === null) throw closed();
      if (typeof handle.fd === 'number') return handle.fd;
    }
    if (typeof fd === 'number') return fd;
    if (typeof socket === 'object') {
      if (socket === null) throw closed();
      return connectionFd(socket);
    }
  }
  if (typeof source === 'number') {
    checkFd(source);
    return source;
  }
  throw badValue('The source', source, 'a connection, what holds one, or a descriptor');
}

function refuse(errno: number, fd: number): never {
  if (errno === EPFNOSUPPORT || errno === ENOTSOCK) {
    throw new ListenFdsError(
      'LISTENFDS_NOT_UNIX',
      `fd ${fd} is not a unix socket: the kernel does not know who is at the other end`,
      {
        fd,
        cause: systemError(errno, 'getsockopt', `fd ${fd}`),
      },
    );
  }
  throw systemError(errno, 'getsockopt', `fd ${fd}`);
}

function pidfdOf(fd: number): number | null {
  const pidfd = binding().peerPidfd(fd);
  if (pidfd >= 0) return pidfd;
  return noPidfd.has(pidfd) ? null : refuse(pidfd, fd);
}

// As native/peer.h fills it. Nothing in it outlives the call.
const labelAt = 4;
const groupsAt = 68;
const scratch = new Uint32Array(groupsAt + 32);

function labelOf(fd: number, words: Uint32Array, length: number): string | null {
  if (length === 0) return null;
  const room = (groupsAt - labelAt) * Uint32Array.BYTES_PER_ELEMENT;
  const bytes =
    length <= room
      ? Buffer.from(words.buffer, labelAt * Uint32Array.BYTES_PER_ELEMENT, length)
      : binding().peerLabel(fd, length);
  if (typeof bytes === 'number') refuse(bytes, fd);
  // SELinux counts a NUL at the end, AppArmor does not.
  return bytes.toString().replace(/\0+$/, '') || null;
}

function read(fd: number, connection: boolean): PeerCredentials {
  const { peerCredentials } = binding();
  let words = scratch;
  let count = peerCredentials(fd, words, connection);
  if (count > words.length - groupsAt) {
    words = new Uint32Array(groupsAt + count);
    count = peerCredentials(fd, words, connection);
  }
  if (count < 0) refuse(count, fd);
  const groups: number[] = [];
  for (let i = 0; i < count; i++) groups.push(words[groupsAt + i]!);
  return { pid: words[0]!, uid: words[1]!, gid: words[2]!, groups, label: labelOf(fd, words, words[3]!) };
}

/**
 * The process, user, groups and security label at the other end of a unix connection, as the kernel recorded them.
 * Takes a net.Socket, a TLSSocket over a unix socket, a request of node:http, anything with an `fd`, or a descriptor.
 *
 * @example
 * http.createServer((req, res) => {
 *   const { uid, groups } = peerCredentials(req);
 *   res.end(`You are user ${uid}, groups ${groups}\n`);
 * });
 *
 * @throws ListenFdsError LISTENFDS_NOT_UNIX for a TCP connection, a pipe, a file; LISTENFDS_BAD_OPTION, LISTENFDS_NO_ADDON
 * @throws an Error with code EBADF for a closed socket, ENOTCONN for one without a peer (a listener), ENODATA if
 * the kernel recorded nobody (a connected datagram socket)
 */
export function peerCredentials(
  source: PeerSource,
  options: Required<PeerCredentialsOptions> & { pidfd: true },
): Required<PeerCredentials>;
export function peerCredentials(source: PeerSource, options?: PeerCredentialsOptions): PeerCredentials;
export function peerCredentials(source: PeerSource, options?: PeerCredentialsOptions): PeerCredentials {
  const { pidfd } = options === undefined ? peerDefaults : readOptions(peerCredentialsOptions, options);
  const fd = connectionFd(source);
  if (fd < 0) throw closed();
  // A net.Socket reads and writes, which a listener cannot.
  const found = read(fd, source instanceof net.Socket);
  return pidfd ? { ...found, pidfd: pidfdOf(fd) } : found;
}
