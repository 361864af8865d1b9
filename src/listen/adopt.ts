// Puts a server on a descriptor that was passed, and makes sure that it is there.

import type { AddressInfo, ListenOptions, Server } from 'node:net';
import { matches } from '../receive/choose.js';
import { isOpenOn } from '../receive/descriptor.js';
import type { InheritedFd } from '../receive/inherited.js';
import { ListenFdsError } from '../system/errors.js';
import { backlogToKeep, descriptorOf, namePath } from '../system/node-server.js';
import type { Wanted } from '../take/target.js';
import { formatAddress } from '../text/address.js';

export function listenOn(server: Server, inherited: InheritedFd, path: string | null, signal?: AbortSignal): void {
  const listen = server.listen as (options: ListenOptions & { fd: number }, backlog: number) => Server;
  const { fd } = inherited;
  listen.call(server, signal ? { fd, signal } : { fd }, backlogToKeep(inherited));
  if (path !== null) namePath(server, path);
}

/** Where clients find an inherited unix socket: it may have been moved since it was bound, as prepareBind() does. */
export function servedPath({ address, description }: InheritedFd, wanted: Wanted): string | null {
  if (typeof address !== 'string') return null;
  return wanted.address?.kind === 'unix' && matches(wanted.address, description) ? wanted.address.path : address;
}

/**
 * Some runtimes take { fd } for "any port": then the server is up, but on a socket nobody knows. For a unix socket
 * namePath() hides that, so the runtime is asked: Node and Deno say null, Bun says {}.
 */
export function verifyAdopted(server: Server, address: AddressInfo | string | null, inherited: InheritedFd): void {
  const fd = descriptorOf(server);
  // In a cluster worker the primary's descriptor has come here under another number.
  const sameFd = fd === null || fd === inherited.fd || isOpenOn(fd, inherited.description);
  const isUnix = inherited.kind === 'unix';
  const found = isUnix ? (Object.getPrototypeOf(server) as Server).address.call(server) : address;
  const isThere =
    isUnix && typeof found === 'object'
      ? found?.port === undefined
      : formatAddress(found) === formatAddress(inherited.address);
  if (sameFd && isThere) return;
  server.close();
  throw new ListenFdsError(
    'LISTENFDS_WRONG_SOCKET',
    `The server listens on ${formatAddress(found)} instead of the inherited fd ${inherited.fd} at ${formatAddress(inherited.address)}`,
    { fd: inherited.fd },
  );
}
