// Binding as a .socket unit would: the right mode and owner from the first moment, a stale path replaced, a live one
// respected, and on close nothing unlinked but our own.
import type { Cluster } from 'node:cluster';
import type * as Os from 'node:os';
import type { BigIntStats } from 'node:fs';
import type { ListenOptions, Server } from 'node:net';
import { formatAddress, maxPathBytes } from './address.js';
import { fs, net, path as paths } from './builtins.js';
import { AF, SOCK } from './descriptor.js';
import { ListenFdsError } from './errors.js';
import { binding, bindingIfAny, systemError } from './native.js';
import type { Wanted } from './target.js';

/** systemd.socket(5), Backlog=. */
const defaultBacklog = 4096;

/** Everything that can be known, checked and waited for before the server opens its socket. */
export interface PreparedBind {
  /** Opens the socket; the server emits 'listening' or 'error' later, as after its own listen(). May throw. */
  open(server: Server): void;
}

const errno = (): typeof Os.constants.errno => process.getBuiltinModule('node:os').constants.errno;

const refusedReusePort =
  'reusePort needs Node 22.12 or newer: this one would bind without it, and a second process would fail';

function supportsReusePort(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 12);
}

/**
 * Prepares to bind what was asked for: resolves owner names, and finds out whether a path is free, stale or in use.
 *
 * @throws ListenFdsError LISTENFDS_UNKNOWN_USER, LISTENFDS_UNSUPPORTED
 * @throws an Error with code EADDRINUSE where somebody answers on the path, or it is no socket
 */
export async function prepareBind(wanted: Wanted): Promise<PreparedBind> {
  const { address } = wanted;
  const node: ListenOptions & { reusePort?: boolean } = { backlog: defaultBacklog, ...wanted.node };
  if (node.reusePort && !supportsReusePort()) throw new ListenFdsError('LISTENFDS_UNSUPPORTED', refusedReusePort);
  if (address?.kind === 'vsock') {
    throw new ListenFdsError('LISTENFDS_UNSUPPORTED', 'Node.js cannot listen on a vsock address');
  }
  if (address?.kind === 'unix') {
    const { path } = address;
    const isFile = process.platform !== 'win32' && !path.startsWith('\0');
    if (isFile) return prepareUnixPath(path, wanted, node);
    if (path.startsWith('\0') && padsAbstractNames) return { open: (server) => openAbstract(server, path, node) };
    return { open: (server) => void server.listen({ ...node, path }) };
  }
  const place = { port: address?.port ?? 0, ...(address?.host ? { host: address.host } : {}) };
  return { open: (server) => void server.listen({ ...node, ...place }) };
}

// Node 20 fills an abstract name up with NULs to the size of sun_path: a name that only Node 20 itself would find.
const padsAbstractNames = process.versions.node.startsWith('20.');

function openAbstract(server: Server, path: string, node: ListenOptions): void {
  const addon = bindingIfAny();
  // In a cluster worker, Node would look for the descriptor in the primary.
  const { isWorker } = process.getBuiltinModule('node:cluster') as unknown as Cluster;
  if (!addon || isWorker) return void server.listen({ ...node, path });
  const fd = addon.openSocket(AF.UNIX, SOCK.STREAM, 0);
  if (fd < 0) throw systemError(fd, 'socket', formatAddress(path));
  const result = addon.bindUnix(fd, Buffer.from(path));
  if (result < 0) {
    addon.closeFd(fd);
    if (result === -errno().EADDRINUSE) throw inUse(formatAddress(path), 'address already in use');
    throw systemError(result, 'bind', formatAddress(path));
  }
  const { backlog = defaultBacklog, signal } = node;
  const listen = server.listen as (options: ListenOptions & { fd: number }, backlog: number) => Server;
  listen.call(server, signal ? { fd, signal } : { fd }, backlog); // next to fd only the positional backlog counts
  server.address = () => (server.listening ? path : null);
  server.once('close', () => delete (server as Partial<Server>).address);
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * A user or group name as its number, through nss.
 *
 * @throws ListenFdsError LISTENFDS_UNKNOWN_USER
 */
export function resolveName(option: 'user' | 'group', value: number | string | null): number {
  if (value === null) return -1; // chown(2): leave it as it is
  if (typeof value === 'number') return value;
  const id = option === 'user' ? binding().userId(value) : binding().groupId(value);
  if (id === null) throw new ListenFdsError('LISTENFDS_UNKNOWN_USER', `There is no ${option} ${JSON.stringify(value)}`);
  if (id < 0) throw systemError(id, option === 'user' ? 'getpwnam' : 'getgrnam', JSON.stringify(value));
  return id;
}

/** The shape of the error that server.listen() gives for a path. */
function listenError(code: string, errno: number, path: string, why: string, cause?: unknown): NodeJS.ErrnoException {
  const error = new Error(`listen ${code}: ${why} ${path}`, cause === undefined ? undefined : { cause });
  return Object.assign(error, { code, errno, syscall: 'listen', address: path });
}

export function inUse(path: string, why: string): NodeJS.ErrnoException {
  return listenError('EADDRINUSE', -errno().EADDRINUSE, path, why);
}

export const sameInode = (a: BigIntStats | undefined, b: BigIntStats | undefined): boolean =>
  a !== undefined && b !== undefined && a.ino === b.ino && a.dev === b.dev;

export const lstat = (path: string): BigIntStats | undefined =>
  fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });

/** Whether anybody listens on a socket file. Only ECONNREFUSED says that nobody does. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.on('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}

/**
 * The ids to give to chown(2); -1 leaves one as it is.
 *
 * @throws ListenFdsError LISTENFDS_UNKNOWN_USER
 */
export function ownerOf(wanted: Pick<Wanted, 'user' | 'group'>): Owner {
  return { uid: resolveName('user', wanted.user), gid: resolveName('group', wanted.group) };
}

async function prepareUnixPath(path: string, wanted: Wanted, node: ListenOptions): Promise<PreparedBind> {
  const owner = ownerOf(wanted);
  const found = lstat(path);
  if (found && !found.isSocket()) throw inUse(path, 'not a socket, and never removed:');
  if (found && (await isAnswered(path))) throw inUse(path, 'address already in use');
  return { open: (server) => openUnixPath(server, path, found, owner, wanted, node) };
}

/**
 * Binds in a directory that only we can enter, sets mode and owner there, and moves the socket into place: nobody can
 * connect to it before it is as it was meant to be. Killed half-way, it leaves that directory and no socket.
 */
function openUnixPath(
  server: Server,
  path: string,
  stale: BigIntStats | undefined,
  owner: Owner,
  wanted: Wanted,
  node: ListenOptions,
): void {
  const room = makeRoom(path);
  const temporary = paths.join(room, 's');
  let listening = false;
  try {
    // readableAll and writableAll make libuv chmod the path, here still inside the room.
    server.listen({ ...node, path: bindablePath(temporary, path) });
    listening = server.listening;
    // Not listening yet: the error event is on its way. (In a cluster worker the primary binds; it gets the plain path.)
    if (!listening) return;
    const mode = wanted.mode ?? (node.readableAll || node.writableAll ? null : 0o666 & ~process.umask());
    if (owner.uid !== -1 || owner.gid !== -1) fs.chownSync(temporary, owner.uid, owner.gid);
    if (mode !== null) fs.chmodSync(temporary, mode);
    const own = lstat(temporary);
    publish(temporary, path, stale);
    server.address = () => (server.listening ? path : null);
    server.once('close', () => {
      delete (server as Partial<Server>).address;
      if (wanted.removeOnStop ?? true) removeOwn(path, own);
    });
  } catch (error) {
    if (listening) server.close();
    const { code = 'ERR', errno = 0 } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') throw error;
    throw listenError(code, errno, path, (error as Error).message, error);
  } finally {
    clearRoom(room, temporary);
  }
}

function makeRoom(path: string): string {
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

/** The temporary path may be longer than a unix address can be where the final one is not. */
function bindablePath(temporary: string, path: string): string {
  if (Buffer.byteLength(temporary) <= maxPathBytes) return temporary;
  throw listenError(
    'ENAMETOOLONG',
    -errno().ENAMETOOLONG,
    path,
    `its directory has more than ${maxPathBytes - 20} bytes, too many to prepare the socket in:`,
  );
}

function clearRoom(room: string, temporary: string): void {
  try {
    fs.unlinkSync(temporary);
  } catch {
    // moved into place, or never made
  }
  fs.rmdirSync(room);
}

/** Puts the socket at its path without ever replacing anything but the stale socket that was examined. */
function publish(temporary: string, path: string, stale: BigIntStats | undefined): void {
  if (stale === undefined || !lstat(path)) {
    try {
      fs.linkSync(temporary, path); // unlike rename(2) it fails where something has come up meanwhile
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw inUse(path, 'address already in use');
      throw error;
    }
  }
  const exchanged = bindingIfAny()?.exchangePaths(temporary, path) ?? -errno().ENOSYS;
  if (exchanged === 0) {
    if (sameInode(lstat(temporary), stale)) return; // clearRoom() unlinks the stale one
    bindingIfAny()!.exchangePaths(temporary, path);
    throw inUse(path, 'address already in use');
  }
  // Without the addon, or on a file system that cannot exchange: the window between look and rename is small.
  if (!sameInode(lstat(path), stale)) throw inUse(path, 'address already in use');
  fs.renameSync(temporary, path);
}

/** Unlinks `path` if it still is the file `own`. */
export function removeOwn(path: string, own: BigIntStats | undefined): void {
  try {
    if (sameInode(fs.statSync(path, { bigint: true, throwIfNoEntry: false }), own)) fs.unlinkSync(path);
  } catch {
    // The directory is gone or closed to us by now; the path is stale and will be replaced by the next start.
  }
}
