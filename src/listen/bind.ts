// Binding as a .socket unit would: the right mode and owner from the first moment, a stale path replaced, a live one
// respected, and on close nothing unlinked but our own.
import type { AddressInfo, ListenOptions } from 'node:net';
import type { PreparedBind } from '../open/unix-path.js';
import { isTcp } from '../receive/descriptor.js';
import { type InheritedFd, registry } from '../receive/inherited.js';
import { keptBy } from '../receive/origin.js';
import { ListenFdsError } from '../system/errors.js';
import { explainInUse } from '../receive/not-for-us.js';
import { bindItself } from '../system/node-server.js';
import { isClusterWorker } from '../system/process-role.js';
import type { Wanted } from '../take/target.js';
import type { Address } from '../text/address.js';
import type { AdaptedApp } from './frameworks/adapted.js';
import { type Opened, addressNow, registerServer } from './opened.js';

const refusedReusePort =
  'reusePort needs Node 22.12 or newer: this one would bind without it, and a second process would fail';

function supportsReusePort(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 12);
}

/** Opens the socket that was asked for and serves on it; the manager gets a copy if it is to be stored. */
export async function bind({ server, start }: AdaptedApp, wanted: Wanted): Promise<Opened> {
  const store = wanted.store === null ? null : await import('../take/stored.js');
  try {
    const prepared = await prepareBind(store ? store.lasting(wanted) : wanted);
    try {
      await start(() => prepared.open(server));
    } finally {
      prepared.release?.();
    }
  } catch (error) {
    throw explainInUse(error);
  }
  registerServer(server, wanted);
  const address = addressNow(server);
  await store?.keep(server, wanted);
  return { address, remote: null };
}

/** The listeners of a predecessor on the same port that are not taken: nobody will want them, but they are open yet. */
function predecessorsListeners({ port }: Address & { kind: 'inet' }): InheritedFd[] {
  return registry().result?.filter((one) => !one.taken && isRival(one, port)) ?? [];
}

function isRival({ listening, origin, description, address }: InheritedFd, port: number): boolean {
  return listening && keptBy(origin) === null && isTcp(description) && (address as AddressInfo).port === port;
}

/**
 * Prepares to bind an address: resolves owner names, and finds out whether a path is free, stale or in use.
 *
 * @throws ListenFdsError LISTENFDS_UNKNOWN_USER, LISTENFDS_UNSUPPORTED
 * @throws an Error with code EADDRINUSE if somebody answers on the path, or it is not a socket
 */
async function prepareBind(wanted: Wanted): Promise<PreparedBind> {
  const { address } = wanted;
  const node: ListenOptions & { reusePort?: boolean; [bindItself]: true } = {
    ...wanted.node,
    [bindItself]: true,
  };
  if (node.reusePort && !supportsReusePort()) throw new ListenFdsError('LISTENFDS_UNSUPPORTED', refusedReusePort);
  if (address?.kind === 'vsock') {
    const { openVsock } = await import('../sockets/room.js');
    return { open: (server) => openVsock(server, address, wanted.node.backlog!) };
  }
  if (address?.kind === 'unix') {
    const { path } = address;
    // There the primary opens the sockets of its workers; a path of ours would be gone by then.
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
    const { openAbstract, prepareUnixPath } = await import('../open/unix-path.js');
    if (path.startsWith('\0')) return { open: (server) => openAbstract(server, path, node) };
    return prepareUnixPath(path, wanted, node);
  }
  if (address && address.port !== 0 && wanted.activation !== 'never') {
    const others = predecessorsListeners(address);
    if (others.length > 0) return { open: await (await import('./beside.js')).openBeside(others, address, node) };
  }
  const place = { port: address?.port ?? 0, ...(address?.host ? { host: address.host } : {}) };
  return { open: (server) => void server.listen({ ...node, ...place }) };
}
