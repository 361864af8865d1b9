// Binding a unix socket that Node has no name for. Unlike a stream listener it is bound at its final path: the kernel
// tells receivers that path as the sender's.
import { finish, inUse, isAbandoned, privateFolderFor, socketAt } from '../open/unix-path.js';
import { isInode } from '../receive/choose.js';
import { AF, describe } from '../receive/descriptor.js';
import { binding, systemError } from '../system/addon.js';
import { fs } from '../system/builtins.js';
import { HeldFile } from '../system/files.js';
import { ownerOf } from '../system/users.js';
import type { Wanted } from '../take/target.js';
import { type Place, formatAddress } from '../text/address.js';
import { type TableOf, whole } from '../text/options.js';

/** Buffer sizes of a socket we open. */
export interface BufferOptions {
  /** ReceiveBuffer=, in bytes. */
  receiveBuffer?: number;
  /** SendBuffer=, in bytes. */
  sendBuffer?: number;
}

const bytes = whole(1, 2 ** 31 - 1, 'bytes');

export const bufferOptions = { receiveBuffer: bytes, sendBuffer: bytes } satisfies TableOf<BufferOptions>;

/** A path, or an abstract name written with '@' or a leading NUL. */
export function pathBytes(path: string): Buffer {
  return Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : path);
}

/** Sets what is given, under the names of native/socket.cc. */
export function setOptions(fd: number, options: Readonly<Record<string, number | boolean | undefined>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === false) continue;
    const result = binding().setSocketOption(fd, name, Number(value));
    if (result < 0) throw systemError(result, 'setsockopt', name);
  }
}

/** A new socket; its owner closes it. */
export function openSocket(domain: number, type: number, protocol = 0): number {
  const fd = binding().openSocket(domain, type, protocol);
  if (fd < 0) throw systemError(fd, 'socket', `family ${domain}`);
  return fd;
}

function isOpen(path: string, type: number): boolean {
  const probe = openSocket(AF.UNIX, type);
  try {
    const result = binding().connectUnix(probe, pathBytes(path));
    return result === 0 || !isAbandoned(systemError(result, 'connect', path).code);
  } finally {
    binding().closeFd(probe);
  }
}

/** Takes a socket file that nobody answers on out of the way. */
function clearStale(path: string, type: number): void {
  const found = socketAt(path);
  if (!found) return;
  try {
    if (isOpen(found.path, type)) throw inUse(path, 'address already in use');
    const folder = privateFolderFor(path);
    try {
      // A packet listener of another program may have been bound, and not yet listening.
      const isStale = (): boolean => !isOpen(found.path, type);
      if (!folder.takeAway(path, found, isStale)) throw inUse(path, 'address already in use');
    } finally {
      folder.remove();
    }
  } finally {
    found.release();
  }
}

/** So long, in ms, another program may have taken our socket away before it sees that this is not stale, and puts it back. */
const patience = 100;

/** @throws an Error with code EADDRINUSE if it does not come */
function wait<Found>(path: string, look: () => Found | null): Found {
  const end = performance.now() + patience;
  for (;;) {
    const found = look();
    if (found !== null) return found;
    if (performance.now() > end) throw inUse(path, 'somebody has replaced the socket at');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
}

/** The file that the socket was bound to. */
function boundFile(fd: number, path: string): HeldFile {
  const { boundInode } = describe(fd);
  return wait(path, () => {
    const own = HeldFile.open(path);
    // The kernel tells which file it is if sock_diag(7) is within reach; if not, it must at least be a socket of ours.
    const isOwn =
      own?.stat.isSocket() &&
      own.stat.uid === BigInt(process.geteuid!()) &&
      (boundInode === null || isInode(own.stat, boundInode));
    if (isOwn) return own;
    own?.release();
    return null;
  });
}

function bindFile(fd: number, path: string, wanted: Wanted<Place>): HeldFile {
  const owner = ownerOf(wanted);
  const mode = wanted.mode ?? 0o666 & ~process.umask();
  // The file gets the mode of the socket, less the umask: nobody enters before owner and mode are as they are meant to be.
  fs.fchmodSync(fd, 0o600);
  const result = binding().bindUnix(fd, pathBytes(path));
  if (result < 0) throw Object.assign(systemError(result, 'bind', path), { address: path });
  const own = boundFile(fd, path);
  try {
    finish(own, owner, mode);
    return own;
  } catch (error) {
    own.removeAt(path);
    own.release();
    throw error;
  }
}

/** A socket that was bound to a name, and the file it made. */
export interface BoundSocket {
  readonly fd: number;
  /**
   * To be called when it listens: until then it looks stale to other programs.
   *
   * @throws an Error with code EADDRINUSE if one of them has replaced it
   */
  listening(): void;
  /** Unlinks the file, if it is still there and is to go; to be called once, when the descriptor has been closed. */
  ended(remove: boolean): void;
}

/**
 * A socket bound to a path, or to an abstract name with its leading NUL.
 *
 * @throws an Error with code EADDRINUSE if somebody has the path open, or it is not a socket
 */
export function bindUnixSocket(type: number, path: string, wanted: Wanted<Place>): BoundSocket {
  const isFile = !path.startsWith('\0');
  if (isFile) clearStale(path, type);
  const fd = openSocket(AF.UNIX, type);
  try {
    if (isFile) {
      const own = bindFile(fd, path, wanted);
      const ended = (remove: boolean): void => {
        if (remove) own.removeAt(path);
        own.release();
      };
      return { fd, ended, listening: () => void wait(path, () => own.isAt(path) || null) };
    }
    const result = binding().bindUnix(fd, pathBytes(path));
    if (result < 0) throw Object.assign(systemError(result, 'bind', formatAddress(path)), { address: path });
    return { fd, ended: () => {}, listening: () => {} };
  } catch (error) {
    binding().closeFd(fd);
    throw error;
  }
}
