// Binding a unix socket that Node has no name for. Unlike a stream listener it is bound at its final path: the kernel
// tells receivers that path as the sender's.
import type { BigIntStats } from 'node:fs';
import { inUse, isAbandoned, socketAt } from '../open/unix-path.js';
import { AF } from '../receive/descriptor.js';
import { binding, systemError } from '../system/addon.js';
import { fs } from '../system/builtins.js';
import { lstat, sameInode } from '../system/files.js';
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

function clearStale(path: string, type: number): void {
  const found = socketAt(path);
  if (!found) return;
  if (isOpen(path, type)) throw inUse(path, 'address already in use');
  if (sameInode(lstat(path), found)) fs.unlinkSync(path);
}

function bindFile(fd: number, path: string, wanted: Wanted<Place>): BigIntStats {
  const owner = ownerOf(wanted);
  const mode = wanted.mode ?? 0o666 & ~process.umask();
  // The file gets the mode of the socket, less the umask: nobody enters before owner and mode are as they are meant to be.
  fs.fchmodSync(fd, 0o600);
  const result = binding().bindUnix(fd, pathBytes(path));
  if (result < 0) throw Object.assign(systemError(result, 'bind', path), { address: path });
  const own = lstat(path)!;
  try {
    if (owner.uid !== -1 || owner.gid !== -1) fs.chownSync(path, owner.uid, owner.gid);
    fs.chmodSync(path, mode);
    return own;
  } catch (error) {
    fs.unlinkSync(path);
    throw error;
  }
}

/**
 * A socket bound to a path, or to an abstract name with its leading NUL; `own` is the file it made.
 *
 * @throws an Error with code EADDRINUSE where somebody has the path open, or it is no socket
 */
export function bindUnixSocket(
  type: number,
  path: string,
  wanted: Wanted<Place>,
): { fd: number; own: BigIntStats | null } {
  const isFile = !path.startsWith('\0');
  if (isFile) clearStale(path, type);
  const fd = openSocket(AF.UNIX, type);
  try {
    if (isFile) return { fd, own: bindFile(fd, path, wanted) };
    const result = binding().bindUnix(fd, pathBytes(path));
    if (result < 0) throw Object.assign(systemError(result, 'bind', formatAddress(path)), { address: path });
    return { fd, own: null };
  } catch (error) {
    binding().closeFd(fd);
    throw error;
  }
}
