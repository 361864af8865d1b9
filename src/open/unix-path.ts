// Binding a unix path: the right mode and owner from the first moment, a stale file replaced, a live one respected.

import type { ListenOptions, Server } from 'node:net';
import { gatekeeper } from '../admit/gate.js';
import { AF, SOCK } from '../receive/descriptor.js';
import { binding, bindingIfAny, systemError } from '../system/addon.js';
import { fs, net, path as paths } from '../system/builtins.js';
import { EADDRINUSE } from '../system/errnos.js';
import { ListenFdsError } from '../system/errors.js';
import { HeldFile } from '../system/files.js';
import { presentPath } from '../system/node-server.js';
import { type Owner, ownerOf } from '../system/users.js';
import type { Wanted } from '../take/target.js';
import { formatAddress } from '../text/address.js';
import { PrivateFolder } from './private-folder.js';

/** The shape of the error that server.listen() gives for a path. */
function listenError(code: string, errno: number, path: string, why: string, cause?: unknown): NodeJS.ErrnoException {
  const error = new Error(`listen ${code}: ${why} ${path}`, cause === undefined ? undefined : { cause });
  return Object.assign(error, { code, errno, syscall: 'listen', address: path });
}

export function inUse(path: string, why: string): NodeJS.ErrnoException {
  return listenError('EADDRINUSE', EADDRINUSE, path, why);
}

/**
 * Whether the error of connect(2) to a socket file means that nobody has it open: ECONNREFUSED, or ENOENT if somebody has
 * just taken the path away. Any doubt is a no.
 */
export const isAbandoned = (code: string | undefined): boolean => code === 'ECONNREFUSED' || code === 'ENOENT';

/**
 * The socket file at a path, which is in the way of a new one; null if there is none.
 *
 * @throws an Error with code EADDRINUSE if something else is there
 */
export function socketAt(path: string): HeldFile | null {
  const found = HeldFile.open(path);
  if (found === null || found.stat.isSocket()) return found;
  found.release();
  throw inUse(path, 'not a socket, and never removed:');
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
  const stale = socketAt(path);
  const release = (): void => stale?.release();
  if (stale && (await isAnswered(stale.path))) {
    release();
    throw inUse(path, 'address already in use');
  }
  return { open: (server) => openUnixPath(server, path, stale, owner, wanted, node), release };
}

/** Puts the socket at its path without ever replacing anything but the stale socket that was examined. */
function publish(folder: PrivateFolder, path: string, stale: HeldFile | null): void {
  if (stale !== null && !folder.takeAway(path, stale)) throw inUse(path, 'address already in use');
  try {
    fs.linkSync(folder.file, path); // unlike rename(2) it fails if something has come up meanwhile
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw inUse(path, 'address already in use');
    throw error;
  }
}

/**
 * A sender of descriptors to a socket gets an error from then on, and so on the connections that it accepts. Received ones
 * have to be closed, and the last close of a socket with SO_LINGER, or of a file in a file system of the sender's, stands
 * still as long as the sender likes, and the event loop with it. Before Linux 6.16 there is no such option.
 */
export function refuseDescriptors(fd: number): void {
  bindingIfAny()?.setSocketOption(fd, 'PassRights', 0);
}

/** Gives a socket file that we have bound its owner and mode. */
export function finish(own: HeldFile, { uid, gid }: Owner, mode: number): void {
  if (uid !== -1 || gid !== -1) fs.chownSync(own.path, uid, gid);
  fs.chmodSync(own.path, mode);
}

/**
 * Binds in a directory that only we can enter, sets mode and owner there, and moves the socket into place: nobody can
 * connect to it before it is as it was meant to be. Killed half-way, it leaves that directory and no socket.
 */
function openUnixPath(
  server: Server,
  path: string,
  stale: HeldFile | null,
  owner: Owner,
  wanted: Wanted,
  node: ListenOptions,
): void {
  const { readableAll, writableAll, ...options } = node;
  const all = (readableAll ? 0o444 : 0) | (writableAll ? 0o222 : 0);
  const mode = wanted.mode ?? (0o666 & ~process.umask()) | all;
  const folder = privateFolderFor(path);
  let own: HeldFile | null = null;
  let listening = false;
  try {
    // The addon binds if there is one: libuv unlinks the name it bound when it closes, and by then that may mean
    // something else.
    if (bindingIfAny()) listenOnBound(server, bindExactly(folder.file), options, path);
    else server.listen({ ...options, path: folder.file });
    listening = server.listening;
    if (!listening) return; // the error event is on its way
    own = HeldFile.open(folder.file)!;
    finish(own, owner, mode);
    publish(folder, path, stale);
    presentPath(server, path);
    const published = own;
    server.once('close', () => {
      if ((wanted.removeOnStop ?? true) && !gatekeeper(server).handedOver) published.removeAt(path);
      published.release();
    });
  } catch (error) {
    own?.release();
    if (listening) server.close();
    const { code = 'ERR', errno = 0 } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' || error instanceof ListenFdsError) throw error;
    throw listenError(code, errno, path, (error as Error).message, error);
  } finally {
    folder.remove();
  }
}

export function privateFolderFor(path: string): PrivateFolder {
  try {
    return new PrivateFolder(path);
  } catch (error) {
    const { code = 'ERR', errno = 0 } = error as NodeJS.ErrnoException;
    const why = `cannot create a file in ${paths.dirname(path)} for ${paths.basename(path)}:`;
    throw listenError(code, errno, path, why, error);
  }
}

/** Everything that can be known, checked and waited for before the server opens its socket. */
export interface PreparedBind {
  /** Opens the socket; the server emits 'listening' or 'error' later, as after its own listen(). May throw. */
  open(server: Server): void;
  /** To be called when it is done, or will not be. */
  release?(): void;
}

/** A socket bound to exactly this name, abstract if it starts with NUL; or -errno. */
function bindExactly(path: string): number {
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
  refuseDescriptors(fd);
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
