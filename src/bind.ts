// Binding as a .socket unit would: the right mode and owner from the first moment, a stale path replaced, a live one
// respected, and on close nothing unlinked but our own.
import type * as Os from 'node:os';
import type { BigIntStats } from 'node:fs';
import type { ListenOptions, Server } from 'node:net';
import { formatAddress, maxPathBytes } from './address.js';
import { fs, net, path as paths } from './builtins.js';
import { AF, SOCK } from './descriptor.js';
import { ListenFdsError } from './errors.js';
import { gatekeeper } from './gate.js';
import { binding, bindingIfAny, systemError } from './native.js';
import type { Wanted } from './target.js';

/** systemd.socket(5), Backlog=. */
const defaultBacklog = 4096;

/** Marks a server.listen() that is to bind, whatever was passed: the preload leaves it alone. */
export const bindItself = Symbol.for('listenfds.bindItself');

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
  const node: ListenOptions & { reusePort?: boolean; [bindItself]: true } = {
    backlog: defaultBacklog,
    ...wanted.node,
    [bindItself]: true,
  };
  if (node.reusePort && !supportsReusePort()) throw new ListenFdsError('LISTENFDS_UNSUPPORTED', refusedReusePort);
  if (address?.kind === 'vsock') {
    const { openVsock } = await import('./sockets/room.js');
    return { open: (server) => openVsock(server, address, node.backlog!) };
  }
  if (address?.kind === 'unix') {
    const { path } = address;
    const worker = isClusterWorker();
    if (worker && (wanted.mode ?? wanted.user ?? wanted.group) !== null) {
      throw new ListenFdsError(
        'LISTENFDS_UNSUPPORTED',
        'In a cluster worker the primary binds: mode, user and group are out of reach',
      );
    }
    if (process.platform === 'win32' || worker) {
      return { open: (server) => void server.listen({ ...node, path }) };
    }
    if (path.startsWith('\0')) return { open: (server) => openAbstract(server, path, node) };
    return prepareUnixPath(path, wanted, node);
  }
  const place = { port: address?.port ?? 0, ...(address?.host ? { host: address.host } : {}) };
  return { open: (server) => void server.listen({ ...node, ...place }) };
}

/** There the primary opens what a worker asks it for; a path of ours would be gone by then. */
function isClusterWorker(): boolean {
  if (process.channel == null) return false;
  return (process.getBuiltinModule('node:cluster') as unknown as { isWorker: boolean }).isWorker;
}

/** A socket bound to exactly this name, abstract where it starts with NUL; or -errno. */
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
function listenOnBound(server: Server, fd: number, node: ListenOptions, path: string): void {
  if (fd < 0) {
    const { code } = systemError(fd, 'bind', path);
    throw listenError(code!, fd, formatAddress(path), code === 'EADDRINUSE' ? 'address already in use' : 'cannot bind');
  }
  const listen = server.listen as (options: { fd: number }, backlog: number | undefined) => Server;
  listen.call(server, { ...node, fd }, node.backlog);
}

/** Node does not know the path of what the addon bound, or what was moved since. */
function presentPath(server: Server, path: string): void {
  server.address = () => (server.listening ? path : null);
  // Once closed, Node would tell the temporary name. Should the server listen again, that is for Node to tell.
  server.once('close', () => server.once('listening', () => delete (server as Partial<Server>).address));
}

/**
 * Node 20 pads an abstract name with NULs to its full length: a name that no other program looks for. A newer one writes the
 * NUL into its errors, and still has the address when the server is closed.
 */
function openAbstract(server: Server, path: string, node: ListenOptions): void {
  if (!bindingIfAny()) server.listen({ ...node, path });
  else {
    listenOnBound(server, bindExactly(path), node, path);
    presentPath(server, path);
  }
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

export function sameInode(a: BigIntStats | undefined, b: BigIntStats | undefined): boolean {
  return a !== undefined && b !== undefined && a.ino === b.ino && a.dev === b.dev;
}

export function lstat(path: string): BigIntStats | undefined {
  return fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

/** What connect(2) says where nobody listens; with ENOENT somebody has just taken the path away. */
const free = ['ECONNREFUSED', 'ENOENT'];

/** Whether anybody listens on a socket file. Any doubt is a yes. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.on('connect', () => {
      // Taking leave in order: a server may greet its clients and have no 'error' listener for one that is gone already.
      probe.on('close', () => resolve(true)).setTimeout(1000, () => probe.destroy());
      probe.resume().end();
    });
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(!free.includes(error.code!)));
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

/**
 * Binds where the whole path would be too long for an address. The addon does it because libuv unlinks the name it bound
 * when it closes, and by then this one could mean something else.
 */
function bindInside(room: string): number {
  const directory = fs.openSync(room, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    return bindExactly(`/proc/self/fd/${directory}/s`);
  } finally {
    fs.closeSync(directory);
  }
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
  if (!sameInode(lstat(path), stale)) throw inUse(path, 'address already in use');
  const exchanged = bindingIfAny()?.exchangePaths(temporary, path) ?? -errno().ENOSYS;
  if (exchanged === 0) {
    if (sameInode(lstat(temporary), stale)) return; // clearRoom() unlinks the stale one
    bindingIfAny()!.exchangePaths(temporary, path);
    throw inUse(path, 'address already in use');
  }
  // Without the addon, or on a file system that cannot exchange: the window between look and rename is small.
  fs.renameSync(temporary, path);
}

/** Unlinks `path` if it still is the file `own`. */
export function removeOwn(path: string, own: BigIntStats | undefined): void {
  try {
    if (sameInode(lstat(path), own)) fs.unlinkSync(path);
  } catch {
    // The directory is gone or closed to us by now; the path is stale and will be replaced by the next start.
  }
}
