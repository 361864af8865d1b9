// Puts a server on a descriptor that was passed, and makes sure that it is there.

import type { AddressInfo, ListenOptions, Server } from 'node:net';
import { gatekeeper } from '../admit/gate.js';
import { fileOf } from '../open/own.js';
import { type Suitable, matches } from '../receive/choose.js';
import { type Description, isNodeStream, isOpenOn, isUnix, isVsock } from '../receive/descriptor.js';
import { isPrimaryFd } from '../receive/from-primary.js';
import type { InheritedFd } from '../receive/inherited.js';
import { type Loan, lend, putBack } from '../receive/lent.js';
import { doesQueueStay, keptBy } from '../receive/origin.js';
import { ListenFdsError } from '../system/errors.js';
import { backlogToKeep, descriptorOf, handleOf, mayListen, nameAddress, whenClosed } from '../system/node-server.js';
import { type Endpoint, endpoint } from '../take/endpoint.js';
import type { Wanted } from '../take/target.js';
import { formatAddress } from '../text/address.js';
import type { AdaptedApp } from './frameworks/adapted.js';
import { type Opened, addressNow, registerServer } from './opened.js';

const isStream = (found: Description): boolean => isNodeStream(found) || isVsock(found);

/** The sockets that listen() takes. */
export const suitable: Suitable = {
  what: 'a listening stream socket',
  is: (found) => found.listening && isStream(found),
  isConnection: (found) => found.connected && isStream(found),
};

/** Serves on a descriptor that was passed; if that fails, the descriptor is free again. */
export async function adopt({ server, start }: AdaptedApp, inherited: InheritedFd, wanted: Wanted): Promise<Opened> {
  const { connected, description, origin } = inherited;
  let remote: Opened['remote'] = null;
  let loan: Loan | null = null;
  try {
    // Sockets on which Node cannot listen, or may not.
    const room =
      connected || isVsock(description) || isForbidden(inherited) ? await import('../sockets/room.js') : null;
    await start(() => {
      if (connected) {
        room!.expectConnection(server, inherited);
        return;
      }
      loan = lend(inherited);
      (room?.acceptInherited ?? listenOn)(server, loan, servedPath(inherited, wanted), wanted.node.signal);
    });
    if (connected) {
      remote = room!.remoteEnd(inherited, process.env);
      room!.serveConnection(server, inherited);
    }
  } catch (error) {
    putBack(inherited);
    throw error;
  }
  if (loan) whenClosed(handleOf(server), (loan as Loan).giveBack);
  const address = addressNow(server); // once: it is a system call
  if (loan && !isVsock(description)) verifyAdopted(server, address, loan);
  gatekeeper(server).shared = doesQueueStay(origin);
  if (loan && keptBy(origin) === null) ownNow(server, address, wanted);
  return { address, remote };
}

/** Has a server that listens take the connections of further listeners. */
export async function adoptOthers(server: Server, others: readonly InheritedFd[]): Promise<Endpoint[]> {
  if (others.length === 0) return [];
  const { acceptAlso } = await import('../lend/room.js');
  const room = others.some(isForbidden) ? await import('../sockets/room.js') : null;
  acceptAlso(server, others.map(lend), room?.acceptInherited);
  return others.map((one) => endpoint(one, one.address));
}

/** A socket that its predecessor had bound is its own from now on: to pass on, and its path to remove. */
function ownNow(server: Server, address: Opened['address'], wanted: Wanted): void {
  registerServer(server, wanted);
  const ended = typeof address === 'string' ? fileOf(address, wanted.removeOnStop ?? true) : null;
  if (ended) server.once('close', () => ended(gatekeeper(server).handedOver));
}

/** Whether Node's listen(2) on it is forbidden. In a cluster worker it is the primary that calls it. */
const isForbidden = (inherited: InheritedFd): boolean => !isPrimaryFd(inherited) && !mayListen();

function listenOn(server: Server, { inherited, fd }: Loan, path: string | null, signal?: AbortSignal): void {
  const listen = server.listen as (options: ListenOptions & { fd: number }, backlog: number) => Server;
  listen.call(server, signal ? { fd, signal } : { fd }, backlogToKeep(inherited));
  if (path !== null) nameAddress(server, path);
}

/** Where clients find an inherited unix socket: it may have been moved since it was bound, as prepareBind() does. */
function servedPath({ address, description }: InheritedFd, wanted: Wanted): string | null {
  if (typeof address !== 'string') return null;
  return wanted.address?.kind === 'unix' && matches(wanted.address, description) ? wanted.address.path : address;
}

/**
 * Some runtimes take { fd } for "any port": then the server is up, but on a socket nobody knows. For a unix socket
 * nameAddress() hides that, so the runtime is asked: Node and Deno say null, Bun says {}.
 */
function verifyAdopted(server: Server, address: AddressInfo | string | null, { inherited, fd: lent }: Loan): void {
  const fd = descriptorOf(server);
  // In a cluster worker the primary's descriptor has come here under another number.
  const sameFd = fd === null || fd === lent || isOpenOn(fd, inherited.description);
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
