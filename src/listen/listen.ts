// listen(): the choice between adopting an inherited listener and binding our own.
import type { AddressInfo, Server } from 'node:net';
import { authorize } from '../admit/authorize.js';
import { gatekeeper } from '../admit/gate.js';
import { ownSockets } from '../open/own.js';
import { putBack } from '../receive/inherited.js';
import type { RemoteEnd } from '../sockets/accepted.js';
import { ListenFdsError } from '../system/errors.js';
import { descriptorOf } from '../system/node-server.js';
import { readAhead } from '../system/read-ahead.js';
import { takeInherited } from '../take/take.js';
import { type Target, type Wanted, parseTarget, refuseMore } from '../take/target.js';
import { formatAddress } from '../text/address.js';
import { listenOn, servedPath, verifyAdopted } from './adopt.js';
import { prepareBind } from './bind.js';
import { type App, adaptApp } from './frameworks/adapt.js';
import { type AdaptedApp, schemeOf } from './frameworks/adapted.js';

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

/** For an upgrade to pass on, as long as it is open. */
function registerServer(server: Server, name: string | null): void {
  const own = {
    name: name ?? 'unknown',
    fd: () => descriptorOf(server),
    handOver: () => Object.assign(gatekeeper(server), { shared: true, handedOver: true }),
  };
  ownSockets().add(own);
  server.once('close', () => ownSockets().delete(own));
}

/** A server that cannot say where it is listens no longer: whoever gets the error must not serve all the same. */
function addressOrClose(server: Server): Listening['address'] {
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

export async function listenAdapted({ server, start }: AdaptedApp, wanted: Wanted): Promise<Listening> {
  if (server.listening) {
    throw new ListenFdsError(
      'LISTENFDS_ALREADY_LISTENING',
      `The server listens on ${formatAddress(server.address())} already`,
    );
  }
  gatekeeper(server);
  if (wanted.limits) (await import('../admit/limits.js')).limit(server, wanted.limits);
  if (wanted.authorize !== null) authorize(server, wanted.authorize);
  // Rarely wanted, and nothing the start of other programs should pay for.
  const store = wanted.store === null ? null : await import('../take/stored.js');
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
      const room = connected || kind === 'vsock' ? await import('../sockets/room.js') : null;
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
    address = addressOrClose(server); // once: it is a system call
    if (!connected && kind !== 'vsock') verifyAdopted(server, address, found);
    gatekeeper(server).shared = true;
  } else {
    const prepared = await prepareBind(store ? store.lasting(wanted) : wanted);
    await start(() => prepared.open(server));
    registerServer(server, wanted.name ?? wanted.store);
    address = addressOrClose(server);
    await store?.keep(server, wanted);
  }
  readAhead();
  return {
    server,
    address,
    source: found ? 'inherited' : 'bound',
    name: found?.name ?? null,
    url: remote ? null : urlOf(server, address),
    remote,
  };
}
