// sd_is_*(3), one to one: the same questions, the same answers, the same errno if C returns one. Arguments stand in
// C's order; arguments that are left out, null or 0 are not compared, as 0, -1 and NULL there.
import type { AddressInfo } from 'node:net';
import type { BigIntStats } from 'node:fs';
import { binding, systemError } from '../system/addon.js';
import { fs } from '../system/builtins.js';
import { EBADF, EINVAL, EPFNOSUPPORT } from '../system/errnos.js';
import { ListenFdsError } from '../system/errors.js';
import { badValue } from '../text/options.js';
import { AF, type SocketFamily, type SocketType, families, types } from './descriptor.js';

/** Arguments that C would not even compile are an error of ours; those that it would take go on as the int it is there. */
function int(option: string, value: unknown, expected = 'a whole number'): number {
  if (!Number.isInteger(value) || (value as number) !== ((value as number) | 0))
    throw badValue(option, value, expected);
  return value as number;
}

function choice(option: string, value: unknown, names: Readonly<Record<string, number>>): number {
  if (value === undefined || value === null) return 0;
  if (typeof value === 'string' && Object.hasOwn(names, value)) return names[value]!;
  return int(option, value, `one of ${Object.keys(names).join(', ')}, or a number`);
}

/** -1: not asked about. */
function listeningOf(value: unknown): number {
  if (value === undefined || value === null) return -1;
  return typeof value === 'boolean' ? Number(value) : int('listening', value, 'true, false or left out');
}

function fail(errno: number, call: string, fd: number): never {
  throw systemError(errno, call, `fd ${fd}`);
}

/** Throws what came back as -errno. */
function answer<T>(result: T | number, call: string, fd: number): T {
  if (typeof result === 'number' && result < 0) fail(result, call, fd);
  return result as T;
}

function checkNumber(fd: unknown, call: string): void {
  if (int('fd', fd, 'a file descriptor') < 0) fail(EBADF, call, fd as number);
}

/** sd_is_socket(3) without the family, with the checks that all four of them begin with. */
function fits(call: string, fd: number, type: number, listening: number): boolean {
  if (type < 0) fail(EINVAL, call, fd);
  if (!fs.fstatSync(fd).isSocket()) return false;
  if (type !== 0 && answer(binding().socketType(fd), call, fd) !== type) return false;
  return listening < 0 || answer(binding().isListening(fd), call, fd) === (listening !== 0);
}

function nameOf(call: string, fd: number): Buffer {
  return answer(binding().socketName(fd), call, fd) as Buffer;
}

/** sa_family, which unlike the rest of an address is in the order of the machine. */
function familyOf(name: Buffer): number {
  return new Uint16Array(Uint8Array.prototype.slice.call(name, 0, 2).buffer)[0]!;
}

/**
 * Whether a descriptor is a socket, of that family and type, and listening or not. Mirrors sd_is_socket(3).
 *
 * @example
 * isSocket(3) // a socket
 * isSocket(3, 'unix', 'stream', true) // a listening unix stream socket
 *
 * @throws an Error with code EBADF if it is not open, EINVAL for a negative family or type
 * @throws ListenFdsError LISTENFDS_BAD_OPTION for arguments that C has no value for, LISTENFDS_NO_ADDON
 */
export function isSocket(
  fd: number,
  family?: SocketFamily | null,
  type?: SocketType | null,
  listening?: boolean | number | null,
): boolean {
  const call = 'sd_is_socket';
  checkNumber(fd, call);
  const wanted = choice('family', family, families);
  if (wanted < 0) fail(EINVAL, call, fd);
  if (!fits(call, fd, choice('type', type, types), listeningOf(listening))) return false;
  return wanted === 0 || familyOf(nameOf(call, fd)) === wanted;
}

/**
 * Whether a descriptor is an IP socket, of that family and type, listening or not, bound to that port. Mirrors
 * sd_is_socket_inet(3).
 *
 * @throws as {@link isSocket}; EINVAL for a family other than 'inet' and 'inet6'
 */
export function isSocketInet(
  fd: number,
  family?: SocketFamily | null,
  type?: SocketType | null,
  listening?: boolean | number | null,
  port?: number | null,
): boolean {
  const call = 'sd_is_socket_inet';
  checkNumber(fd, call);
  const wanted = choice('family', family, families);
  if (wanted !== 0 && wanted !== AF.INET && wanted !== AF.INET6) fail(EINVAL, call, fd);
  const wantedPort = portOf(port);
  if (!fits(call, fd, choice('type', type, types), listeningOf(listening))) return false;
  const name = nameOf(call, fd);
  const actual = familyOf(name);
  if (actual !== AF.INET && actual !== AF.INET6) return false;
  if (wanted !== 0 && wanted !== actual) return false;
  return wantedPort === 0 || name.readUInt16BE(2) === wantedPort;
}

function portOf(port: unknown): number {
  const value = int('port', port ?? 0, 'a whole number from 0 to 65535');
  if (value < 0 || value > 65535) throw badValue('port', port, 'a whole number from 0 to 65535');
  return value;
}

/**
 * Whether a descriptor is a unix socket, of that type, listening or not, bound to that path: `''` is an unnamed
 * socket, a leading NUL makes it an abstract name. Mirrors sd_is_socket_unix(3).
 *
 * @throws as {@link isSocket}
 */
export function isSocketUnix(
  fd: number,
  type?: SocketType | null,
  listening?: boolean | number | null,
  path?: string | Uint8Array | null,
): boolean {
  const call = 'sd_is_socket_unix';
  checkNumber(fd, call);
  if (!fits(call, fd, choice('type', type, types), listeningOf(listening))) return false;
  const name = nameOf(call, fd);
  if (familyOf(name) !== AF.UNIX) return false;
  if (path === undefined || path === null) return true;
  const wanted = bytesOf(path);
  const bound = name.subarray(2);
  if (wanted.length === 0) return bound.length === 0;
  if (wanted[0] === 0) return bound.equals(wanted);
  // The kernel ends a path with a NUL, and may say that the address is longer.
  return bound.length > wanted.length && bound[wanted.length] === 0 && bound.subarray(0, wanted.length).equals(wanted);
}

function bytesOf(path: unknown): Buffer {
  if (typeof path === 'string') return Buffer.from(path);
  if (path instanceof Uint8Array) return Buffer.from(path.buffer, path.byteOffset, path.byteLength);
  throw badValue('path', path, 'a path');
}

/** An IP address as `server.address()` gives it. Port 0 or none: any. An IPv6 address may have a `%zone`. */
export interface SocketAddressLike {
  /** An IP address. */
  readonly address: string;
  /** 0 or none: any. */
  readonly port?: number;
  /** IPv6 only; 0 or none: any. */
  readonly flowlabel?: number;
}

/**
 * Whether a descriptor is an IP socket bound to that address, of that type, listening or not. Mirrors
 * sd_is_socket_sockaddr(3); the address is whatever `server.address()` may say.
 *
 * @example
 * isSocketSockaddr(3, 'stream', { address: '::1', port: 8080 }, true)
 *
 * @throws as {@link isSocket}; EINVAL for null, EPFNOSUPPORT for the path of a unix socket
 * @throws ListenFdsError LISTENFDS_BAD_ADDRESS if `address.address` is not an IP address
 */
export function isSocketSockaddr(
  fd: number,
  type: SocketType | null | undefined,
  address: SocketAddressLike | AddressInfo | string | null,
  listening?: boolean | number | null,
): boolean {
  const call = 'sd_is_socket_sockaddr';
  checkNumber(fd, call);
  if (address === null || address === undefined) fail(EINVAL, call, fd);
  if (typeof address === 'string') fail(EPFNOSUPPORT, call, fd);
  const wanted = sockaddrOf(address);
  if (!fits(call, fd, choice('type', type, types), listeningOf(listening))) return false;
  const name = nameOf(call, fd);
  const family = familyOf(name);
  if (family !== familyOf(wanted)) return false;
  if (name.length < wanted.length) fail(EINVAL, call, fd);
  // struct sockaddr_in: family, port, address. struct sockaddr_in6: family, port, flow, address, scope.
  const sameIfAsked = (start: number, end: number): boolean => {
    const part = wanted.subarray(start, end);
    return part.every((byte) => byte === 0) || part.equals(name.subarray(start, end));
  };
  if (!sameIfAsked(2, 4)) return false;
  if (family === AF.INET) return name.subarray(4, 8).equals(wanted.subarray(4, 8));
  if (!sameIfAsked(4, 8) || !sameIfAsked(24, 28)) return false;
  return name.subarray(8, 24).equals(wanted.subarray(8, 24));
}

function sockaddrOf(address: SocketAddressLike): Buffer {
  const text = (address as Partial<SocketAddressLike>).address;
  // C would read the address up to a NUL.
  const found = typeof text === 'string' && !text.includes('\0') ? binding().numericAddress(text) : EINVAL;
  if (typeof found === 'number') {
    throw new ListenFdsError('LISTENFDS_BAD_ADDRESS', `${JSON.stringify(text)} is not an IP address`);
  }
  found.writeUInt16BE(portOf(address.port), 2);
  if (familyOf(found) === AF.INET6 && address.flowlabel !== undefined) {
    found.writeUInt32BE(int('flowlabel', address.flowlabel), 4);
  }
  return found;
}

function missing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Null if there is no such path. */
function statusOf(path: string | Uint8Array): BigIntStats | null {
  try {
    return fs.statSync(bytesOf(path), { bigint: true });
  } catch (error) {
    if (missing(error)) return null;
    throw error;
  }
}

const sameFile = (a: BigIntStats, b: BigIntStats): boolean => a.dev === b.dev && a.ino === b.ino;

/**
 * Whether a descriptor is a FIFO or pipe, and the one at that path. Mirrors sd_is_fifo(3).
 *
 * @throws an Error with code EBADF if it is not open, and the errors of stat(2) of the path, except ENOENT and
 * ENOTDIR: then the answer is false
 */
export function isFifo(fd: number, path?: string | Uint8Array | null): boolean {
  checkNumber(fd, 'sd_is_fifo');
  const status = fs.fstatSync(fd, { bigint: true });
  if (!status.isFIFO()) return false;
  if (path === undefined || path === null) return true;
  const there = statusOf(path);
  return there !== null && sameFile(status, there);
}

/**
 * Whether a descriptor is a character device or a regular file, and the one at that path: for a device, any node of
 * the same device. Mirrors sd_is_special(3).
 *
 * @throws as {@link isFifo}
 */
export function isSpecial(fd: number, path?: string | Uint8Array | null): boolean {
  checkNumber(fd, 'sd_is_special');
  const status = fs.fstatSync(fd, { bigint: true });
  if (!status.isFile() && !status.isCharacterDevice()) return false;
  if (path === undefined || path === null) return true;
  const there = statusOf(path);
  if (there === null) return false;
  if (status.isFile()) return there.isFile() && sameFile(status, there);
  return there.isCharacterDevice() && status.rdev === there.rdev;
}

/**
 * Whether a descriptor is a POSIX message queue, and the one of that name, which begins with a slash. Mirrors
 * sd_is_mq(3): unlike the others it fails if there is no such queue, and looks in /dev/mqueue, which must be mounted.
 *
 * @throws an Error with code EBADF if it is not open, EINVAL for a name without a slash, ENOENT for one there is not
 * @throws ListenFdsError LISTENFDS_NO_ADDON
 */
export function isMessageQueue(fd: number, name?: string | null): boolean {
  const call = 'sd_is_mq';
  if (!answer(binding().isMessageQueue(int('fd', fd, 'a file descriptor')), call, fd)) return false;
  if (name === undefined || name === null) return true;
  if (!name.startsWith('/')) fail(EINVAL, call, fd);
  const queue = fs.statSync(`/dev/mqueue${name}`, { bigint: true });
  return sameFile(fs.fstatSync(fd, { bigint: true }), queue);
}
