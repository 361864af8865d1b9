// Binding a unix path: the right mode and owner from the first moment, a stale file replaced, a live one respected.

import type { ListenOptions, Server } from 'node:net';
import { gatekeeper } from '../admit/gate.js';
import { AF, SOCK } from '../receive/descriptor.js';
import { binding, bindingIfAny, systemError } from '../system/addon.js';
import { fs, net, path as paths } from '../system/builtins.js';
import { EADDRINUSE, ENOSYS } from '../system/errnos.js';
import { ListenFdsError } from '../system/errors.js';
import { lstat, removeOwn, sameInode } from '../system/files.js';
import { presentPath } from '../system/node-server.js';
import { type Owner, ownerOf } from '../system/users.js';
import type { Wanted } from '../take/target.js';
import { formatAddress, maxPathBytes } from '../text/address.js';
import type { BigIntStats } from 'node:fs';

/** The shape of the error that server.listen() gives for a path. */
export function listenError(
  code: string,
  errno: number,
  path: string,
  why: string,
  cause?: unknown,
): NodeJS.ErrnoException {
  const error = new Error(`listen ${code}: ${why} ${path}`, cause === undefined ? undefined : { cause });
  return Object.assign(error, { code, errno, syscall: 'listen', address: path });
}

export function inUse(path: string, why: string): NodeJS.ErrnoException {
  return listenError('EADDRINUSE', EADDRINUSE, path, why);
}

/**
 * Whether what connect(2) said of a socket file means that nobody has it open: ECONNREFUSED, or ENOENT where somebody has
 * just taken the path away. Any doubt is a no.
 */
export const isAbandoned = (code: string | undefined): boolean => code === 'ECONNREFUSED' || code === 'ENOENT';

/**
 * The socket file at a path, which is in the way of a new one; undefined where there is none.
 *
 * @throws an Error with code EADDRINUSE where something else is there
 */
export function socketAt(path: string): BigIntStats | undefined {
  const found = lstat(path);
  if (found && !found.isSocket()) throw inUse(path, 'not a socket, and never removed:');
  return found;
}

/** Whether anybody listens on a socket file. */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.on('connect', () => {
      // Taking leave in order: a server may greet its clients and have no 'error' listener for one that is gone already.
      probe.on('close', () => resolve(true)).setTimeout(1000, () => probe.destroy());
      probe.resume().end();
    });
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(!isAbandoned(error.code)));
  });
}

export async function prepareUnixPath(path: string, wanted: Wanted, node: ListenOptions): Promise<PreparedBind> {
  const owner = ownerOf(wanted);
  const found = socketAt(path);
  if (found && (await isAnswered(path))) throw inUse(path, 'address already in use');
  return { open: (server) => openUnixPath(server, path, found, owner, wanted, node) };
}

/**
 * Binds in a directory that only we can enter, sets mode and owner there, and moves the socket into place: nobody can
 * connect to it before it is as it was meant to be. Killed half-way, it leaves that directory and no socket.
 */
export function openUnixPath(
  server: Server,
  path: string,
  stale: BigIntStats | undefined,
  owner: Owner,
  wanted: Wanted,
  node: ListenOptions,
): void {
  const { readableAll, writableAll, ...options } = node;
  const all = (readableAll ? 0o444 : 0) | (writableAll ? 0o222 : 0);
  const mode = wanted.mode ?? (0o666 & ~process.umask()) | all;
  const room = makeRoom(path);
  const temporary = paths.join(room, 's');
  let listening = false;
  try {
    if (Buffer.byteLength(temporary) <= maxPathBytes) server.listen({ ...options, path: temporary });
    else listenOnBound(server, bindInside(room), options, path);
    listening = server.listening;
    if (!listening) return; // the error event is on its way
    if (owner.uid !== -1 || owner.gid !== -1) fs.chownSync(temporary, owner.uid, owner.gid);
    fs.chmodSync(temporary, mode);
    const own = lstat(temporary);
    publish(temporary, path, stale);
    presentPath(server, path);
    server.once('close', () => {
      if ((wanted.removeOnStop ?? true) && !gatekeeper(server).handedOver) removeOwn(path, own);
    });
  } catch (error) {
    if (listening) server.close();
    const { code = 'ERR', errno = 0 } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' || error instanceof ListenFdsError) throw error;
    throw listenError(code, errno, path, (error as Error).message, error);
  } finally {
    clearRoom(room, temporary);
  }
}

export function makeRoom(path: string): string {
  try {
    return fs.mkdtempSync(paths.join(paths.dirname(path), '.listenfds-'));
  } catch (error) {
    const { code = 'ERR', errno = 0 } = error as NodeJS.ErrnoException;
    throw listenError(
      code,
      errno,
      path,
      `cannot create a file in ${paths.dirname(path)} for ${paths.basename(path)}:`,
      error,
    );
  }
}

export function clearRoom(room: string, temporary: string): void {
  try {
    fs.unlinkSync(temporary);
  } catch {
    // moved into place, or never made
  }
  fs.rmdirSync(room);
}

/** Puts the socket at its path without ever replacing anything but the stale socket that was examined. */
export function publish(temporary: string, path: string, stale: BigIntStats | undefined): void {
  if (stale === undefined || !lstat(path)) {
    try {
      fs.linkSync(temporary, path); // unlike rename(2) it fails where something has come up meanwhile
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw inUse(path, 'address already in use');
      throw error;
    }
  }
  if (!sameInode(lstat(path), stale)) throw inUse(path, 'address already in use');
  const exchanged = bindingIfAny()?.exchangePaths(temporary, path) ?? ENOSYS;
  if (exchanged === 0) {
    if (sameInode(lstat(temporary), stale)) return; // clearRoom() unlinks the stale one
    bindingIfAny()!.exchangePaths(temporary, path);
    throw inUse(path, 'address already in use');
  }
  // Without the addon, or on a file system that cannot exchange: the window between look and rename is small.
  fs.renameSync(temporary, path);
}

/**
 * Binds where the whole path would be too long for an address. The addon does it because libuv unlinks the name it bound
 * when it closes, and by then this one could mean something else.
 */
export function bindInside(room: string): number {
  const directory = fs.openSync(room, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    return bindExactly(`/proc/self/fd/${directory}/s`);
  } finally {
    fs.closeSync(directory);
  }
}

/** Everything that can be known, checked and waited for before the server opens its socket. */
export interface PreparedBind {
  /** Opens the socket; the server emits 'listening' or 'error' later, as after its own listen(). May throw. */
  open(server: Server): void;
}

/** A socket bound to exactly this name, abstract where it starts with NUL; or -errno. */
export function bindExactly(path: string): number {
  const { openSocket, bindUnix, closeFd } = binding();
  const fd = openSocket(AF.UNIX, SOCK.STREAM, 0);
  if (fd < 0) return fd;
  const result = bindUnix(fd, Buffer.from(path));
  if (result === 0) return fd;
  closeFd(fd);
  return result;
}

/** Lets the server listen on a socket that the addon bound; only the positional backlog is honoured next to `fd`. */
export function listenOnBound(server: Server, fd: number, node: ListenOptions, path: string): void {
  if (fd < 0) {
    const { code } = systemError(fd, 'bind', path);
    throw listenError(code!, fd, formatAddress(path), code === 'EADDRINUSE' ? 'address already in use' : 'cannot bind');
  }
  const listen = server.listen as (options: { fd: number }, backlog: number | undefined) => Server;
  listen.call(server, { ...node, fd }, node.backlog);
}

/**
 * Node 20 pads an abstract name with NULs to its full length: a name that no other program looks for. A newer one writes the
 * NUL into its errors, and still has the address when the server is closed.
 */
export function openAbstract(server: Server, path: string, node: ListenOptions): void {
  if (!bindingIfAny()) server.listen({ ...node, path });
  else {
    listenOnBound(server, bindExactly(path), node, path);
    presentPath(server, path);
  }
}
