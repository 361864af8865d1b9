// Puts a server on a descriptor that was passed, and makes sure that it is there.

import type { AddressInfo, ListenOptions, Server } from 'node:net';
import { gatekeeper } from '../admit/gate.js';
import { type Suitable, matches } from '../receive/choose.js';
import { type Description, isNodeStream, isOpenOn, isUnix, isVsock } from '../receive/descriptor.js';
import { type InheritedFd, putBack } from '../receive/inherited.js';
import { doesQueueStay } from '../receive/origin.js';
import { ListenFdsError } from '../system/errors.js';
import { backlogToKeep, descriptorOf, namePath } from '../system/node-server.js';
import type { Wanted } from '../take/target.js';
import { formatAddress } from '../text/address.js';
import type { AdaptedApp } from './frameworks/adapted.js';
import { type Opened, addressNow } from './opened.js';

const isStream = (found: Description): boolean => isNodeStream(found) || isVsock(found);

/** What listen() takes. */
export const suitable: Suitable = {
  what: 'a listening stream socket',
  is: (found) => found.listening && isStream(found),
  isConnection: (found) => found.connected && isStream(found),
};

/** Serves on what was passed; where that fails, the descriptor is free again. */
export async function adopt({ server, start }: AdaptedApp, inherited: InheritedFd, wanted: Wanted): Promise<Opened> {
  const { connected, description, origin } = inherited;
  let remote: Opened['remote'] = null;
  try {
    // What Node does not know how to listen on.
    const room = connected || isVsock(description) ? await import('../sockets/room.js') : null;
    await start(() => {
      if (!room) listenOn(server, inherited, servedPath(inherited, wanted), wanted.node.signal);
      else if (connected) room.expectConnection(server, inherited);
      else room.acceptInherited(server, inherited);
    });
    if (connected) {
      remote = room!.remoteEnd(inherited, process.env);
      room!.serveConnection(server, inherited);
    }
  } catch (error) {
    putBack(inherited);
    throw error;
  }
  const address = addressNow(server); // once: it is a system call
  if (!connected && !isVsock(description)) verifyAdopted(server, address, inherited);
  gatekeeper(server).shared = doesQueueStay(origin);
  return { address, remote };
}

function listenOn(server: Server, inherited: InheritedFd, path: string | null, signal?: AbortSignal): void {
  const listen = server.listen as (options: ListenOptions & { fd: number }, backlog: number) => Server;
  const { fd } = inherited;
  listen.call(server, signal ? { fd, signal } : { fd }, backlogToKeep(inherited));
  if (path !== null) namePath(server, path);
}

/** Where clients find an inherited unix socket: it may have been moved since it was bound, as prepareBind() does. */
function servedPath({ address, description }: InheritedFd, wanted: Wanted): string | null {
  if (typeof address !== 'string') return null;
  return wanted.address?.kind === 'unix' && matches(wanted.address, description) ? wanted.address.path : address;
}

/**
 * Some runtimes take { fd } for "any port": then the server is up, but on a socket nobody knows. For a unix socket
 * namePath() hides that, so the runtime is asked: Node and Deno say null, Bun says {}.
 */
function verifyAdopted(server: Server, address: AddressInfo | string | null, inherited: InheritedFd): void {
  const fd = descriptorOf(server);
  // In a cluster worker the primary's descriptor has come here under another number.
  const sameFd = fd === null || fd === inherited.fd || isOpenOn(fd, inherited.description);
  const isPath = isUnix(inherited.description);
  const found = isPath ? (Object.getPrototypeOf(server) as Server).address.call(server) : address;
  const isThere =
    isPath && typeof found === 'object'
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
