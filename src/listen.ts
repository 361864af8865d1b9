// listen(): the choice between adopting an inherited listener and binding our own.
import type { AddressInfo, ListenOptions, Server } from 'node:net';
import { formatAddress } from './address.js';
import { authorize } from './authorize.js';
import { prepareBind } from './bind.js';
import { matches } from './choose.js';
import { isOpenOn } from './descriptor.js';
import { ListenFdsError } from './errors.js';
import { adaptApp, schemeOf, type AdaptedApp, type App } from './frameworks.js';
import { gatekeeper } from './gate.js';
import { putBack, type InheritedFd } from './inherited.js';
import { takeInherited } from './take.js';
import { ownSockets } from './own.js';
import { readAhead } from './read-ahead.js';
import type { RemoteEnd } from './sockets/connection.js';
import { parseTarget, refuseMore, type Target, type Wanted } from './target.js';

/** A server that listens, and where its socket came from. */
export interface Listening {
  /** The server itself: the one that was given, or the one that was made for the app. */
  readonly server: Server;
  /** What `server.address()` says, also for an inherited unix socket. An abstract name starts with NUL, as in Node. */
  readonly address: AddressInfo | string | null;
  /** `'inherited'`: the service manager passed the socket. `'bound'`: this process opened it. */
  readonly source: 'inherited' | 'bound';
  /** FileDescriptorName= of the inherited socket; null for one we bound. */
  readonly name: string | null;
  /** Where a client on this machine reaches it; null for unix sockets and for servers that do not speak HTTP. */
  readonly url: string | null;
  /**
   * Accept=yes: who is on the other end of the one connection that was passed, and that this server is for. When it closes,
   * the server closes. Null for a listener.
   */
  readonly remote: RemoteEnd | null;
}

/**
 * Node calls listen(2) again on what it adopts, with 511 unless told otherwise: that would shrink the queue for all who
 * hold the socket. Where the backlog in force is not known it at least never shrinks: the kernel clamps what is given to
 * net.core.somaxconn. Only the positional form is honoured next to `fd`.
 */
export function backlogToKeep({ backlog }: InheritedFd): number {
  return backlog ?? 0x7fffffff;
}

function listenOn(server: Server, inherited: InheritedFd, path: string | null, signal?: AbortSignal): void {
  const listen = server.listen as (options: ListenOptions & { fd: number }, backlog: number) => Server;
  const { fd } = inherited;
  listen.call(server, signal ? { fd, signal } : { fd }, backlogToKeep(inherited));
  if (path !== null) namePath(server, path);
}

/** Node does not know the path of a unix socket that it did not bind, and frameworks crash on null. */
export function namePath(server: Server, path: string): void {
  server.address = () => (server.listening ? path : null);
  server.once('close', () => delete (server as Partial<Server>).address);
}

/** For an upgrade to pass on, as long as it is open. */
function registerOwn(server: Server, name: string | null): void {
  const own = {
    name: name ?? 'unknown',
    fd: () => (server as { _handle?: { fd?: number } | null })._handle?.fd ?? null,
    handOver: () => Object.assign(gatekeeper(server), { shared: true, handedOver: true }),
  };
  ownSockets().add(own);
  server.once('close', () => ownSockets().delete(own));
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
function verifyAdopted(server: Server, address: Listening['address'], inherited: InheritedFd): void {
  const handle = (server as { _handle?: { fd?: number } | null })._handle;
  // In a cluster worker the primary's descriptor has come here under another number.
  const sameFd = handle?.fd === undefined || handle.fd === inherited.fd || isOpenOn(handle.fd, inherited.description);
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

/** A server that cannot say where it is listens no longer: whoever gets the error must not serve all the same. */
function addressOf(server: Server): Listening['address'] {
  try {
    return server.address();
  } catch (error) {
    server.close();
    throw error;
  }
}

const anyAddress: Partial<Record<string, string>> = { '::': 'localhost', '0.0.0.0': 'localhost' };

function urlOf(server: Server, address: AddressInfo | string | null): string | null {
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
 * the only one left, with a warning that says both addresses (LISTENFDS_ADDRESS_MISMATCH). Where nothing listens, the one
 * connection that Accept=yes passed is served, and the server closes when it does.
 *
 * @example
 * const { url } = await listen(app, 3000);
 *
 * @throws ListenFdsError; docs/errors.md has every code
 * @throws what Node's own listen() fails with, EADDRINUSE for example
 */
export function listen(app: App, target?: Target): Promise<Listening>;
export async function listen(app: App, target: Target | undefined, ...more: unknown[]): Promise<Listening> {
  refuseMore('listen', more);
  const wanted = parseTarget(target);
  const adapting = adaptApp(app);
  return listenAdapted(adapting instanceof Promise ? await adapting : adapting, wanted);
}

let readingAhead = false;

export async function listenAdapted({ server, start }: AdaptedApp, wanted: Wanted): Promise<Listening> {
  if (server.listening) {
    throw new ListenFdsError(
      'LISTENFDS_ALREADY_LISTENING',
      `The server listens on ${formatAddress(server.address())} already`,
    );
  }
  gatekeeper(server);
  if (wanted.limits) (await import('./service/room.js')).limit(server, wanted.limits);
  if (wanted.authorize !== null) authorize(server, wanted.authorize);
  // Rarely wanted, and nothing the start of other programs should pay for.
  const store = wanted.store === null ? null : await import('./stored-listener.js');
  const found = await (store
    ? store.takeStored(wanted)
    : takeInherited(wanted, { kinds: ['tcp', 'unix', 'vsock'], listening: true, connection: true }));
  let address: Listening['address'];
  let remote: RemoteEnd | null = null;
  if (found) {
    const { connected, kind } = found;
    const path = servedPath(found, wanted);
    try {
      // What Node does not know how to listen on.
      const room = connected || kind === 'vsock' ? await import('./sockets/room.js') : null;
      await start(() => {
        if (!room) listenOn(server, found, path, wanted.node.signal);
        else if (connected) room.expectConnection(server, found);
        else room.acceptInherited(server, found);
      });
      if (connected) {
        remote = room!.remoteEnd(found, process.env);
        room!.serveConnection(server, found);
      }
    } catch (error) {
      putBack(found);
      throw error;
    }
    address = addressOf(server); // once: it is a system call
    if (!connected && kind !== 'vsock') verifyAdopted(server, address, found);
    gatekeeper(server).shared = true;
  } else {
    const prepared = await prepareBind(store ? store.lasting(wanted) : wanted);
    await start(() => prepared.open(server));
    registerOwn(server, wanted.name ?? wanted.store);
    address = addressOf(server);
    await store?.keep(server, wanted);
  }
  if (!readingAhead) readAhead(async () => (await import('./service/room.js')).readAll());
  readingAhead = true;
  return {
    server,
    address,
    source: found ? 'inherited' : 'bound',
    name: found?.name ?? null,
    url: remote ? null : urlOf(server, address),
    remote,
  };
}
