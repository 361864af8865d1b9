// listen(): the choice between adopting an inherited listener and binding our own.
import type { Server } from 'node:net';
import { authorize } from '../admit/authorize.js';
import { gatekeeper } from '../admit/gate.js';
import type { InheritedFd } from '../receive/inherited.js';
import type { RemoteEnd } from '../sockets/accepted.js';
import { speakFor } from '../manager/on-behalf.js';
import { ListenFdsError } from '../system/errors.js';
import { readAhead } from '../system/read-ahead.js';
import { type Endpoint, type ServerEndpoint, endpoint } from '../take/endpoint.js';
import { isAllTaken, takeNumbered, takeSeveral } from '../take/take.js';
import { type Target, type Wanted, parseTarget, refuseMore } from '../take/target.js';
import { formatAddress } from '../text/address.js';
import { adopt, adoptOthers, suitable } from './adopt.js';
import { bind } from './bind.js';
import { type App, adaptApp } from './frameworks/adapt.js';
import { type AdaptedApp, schemeOf } from './frameworks/adapted.js';

/** A server that listens, and where its socket came from. */
export interface Listening extends ServerEndpoint<Server> {
  /** The server itself: the one that was given, or the one that was made for the app. */
  readonly server: Server;
  /** Where a client on this machine reaches it; null for unix sockets and for servers that do not speak HTTP. */
  readonly url: string | null;
  /**
   * Accept=yes: the other end of the one connection that was passed, and that this server is for. When it closes,
   * the server closes. Null for a listener.
   */
  readonly remote: RemoteEnd | null;
  /** The further sockets that the server listens on: with `inherited: 'all'`, and those of a unit with ReusePort=. */
  readonly others: readonly Endpoint[];
}

/** The limits and the authorization that were asked for are in force before the first connection. */
async function putGatesUp(server: Server, wanted: Wanted): Promise<void> {
  if (server.listening) {
    throw new ListenFdsError(
      'LISTENFDS_ALREADY_LISTENING',
      `The server listens on ${formatAddress(server.address())} already`,
    );
  }
  gatekeeper(server);
  if (wanted.limits) (await import('../admit/limits.js')).limit(server, wanted.limits);
  if (wanted.authorize !== null) authorize(server, wanted.authorize);
}

interface Found {
  readonly inherited: InheritedFd;
  readonly others: readonly InheritedFd[];
}

/** Null if nothing was passed that is meant. */
async function findInherited(wanted: Wanted): Promise<Found | null> {
  if (wanted.fd !== null) return { inherited: takeNumbered(wanted.fd, suitable), others: [] };
  if (wanted.store === null) return takeSeveral(wanted, suitable);
  // Rarely wanted, and nothing the start of other programs should pay for.
  const inherited = await (await import('../take/stored.js')).takeStored(wanted);
  return inherited && { inherited, others: [] };
}

const anyAddress: Partial<Record<string, string>> = { '::': 'localhost', '0.0.0.0': 'localhost' };

function urlOf(server: Server, address: Endpoint['address']): string | null {
  const scheme = schemeOf(server);
  if (scheme === null || address === null || typeof address === 'string') return null;
  const host = anyAddress[address.address] ?? address.address;
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${address.port}/`;
}

/**
 * Serves `app` on the socket that the service manager passed, or binds `target` itself when none was passed: the
 * drop-in for `app.listen(target)`.
 *
 * Of several inherited sockets it takes the one called `target.name`; else the one bound to the target's address; else
 * the only one left, with a warning that says both addresses (LISTENFDS_ADDRESS_MISMATCH). If nothing listens, the one
 * connection that Accept=yes passed is served, and the server closes when it does.
 *
 * Under Type=notify it says READY=1 a second after everything that was passed is listened on, and pings the watchdog from
 * then on, unless the program speaks to the manager itself by then: with serve(), notify() or startWatchdog().
 *
 * @example
 * const { url } = await listen(app, 3000);
 *
 * @throws ListenFdsError; docs/errors.md has every code
 * @throws what Node's own listen() fails with, EADDRINUSE for example; the reason of `signal` if that is aborted first
 */
export function listen(app: App, target?: Target): Promise<Listening>;
export async function listen(app: App, target: Target | undefined, ...more: unknown[]): Promise<Listening> {
  refuseMore('listen', more);
  const wanted = parseTarget(target);
  const adapting = adaptApp(app);
  const listening = await listenAdapted(adapting instanceof Promise ? await adapting : adapting, wanted);
  speakFor(isAllTaken);
  return listening;
}

export async function listenAdapted(adapted: AdaptedApp, wanted: Wanted): Promise<Listening> {
  const { server } = adapted;
  const { signal } = wanted.node;
  signal?.throwIfAborted();
  await putGatesUp(server, wanted);
  const found = await findInherited(wanted);
  const opened = found ? adopt(adapted, found.inherited, wanted) : bind(adapted, wanted);
  const { address, remote } = await opened.catch((error: unknown) => {
    signal?.throwIfAborted(); // that it was closed is the lesser news
    throw error;
  });
  const others = found ? await adoptOthers(server, found.others) : [];
  readAhead();
  const url = remote ? null : urlOf(server, address);
  return { server, ...endpoint(found?.inherited ?? null, address), url, remote, others };
}
