// listen(): the choice between adopting an inherited listener and binding our own.
import type { AddressInfo, Server } from 'node:net';
import { formatAddress, type Address } from './address.js';
import { authorize } from './authorize.js';
import { prepareBind } from './bind.js';
import { fs, net } from './builtins.js';
import { choose, matches, type Choice } from './choose.js';
import { ListenFdsError } from './errors.js';
import { adaptApp, schemeOf, type AdaptedApp, type App } from './frameworks.js';
import { gatekeeper } from './gate.js';
import { isWorkerThread, listeningStdin, listenFds, meantForPid, putBack, type InheritedFd } from './inherited.js';
import { parseTarget, type Target, type Wanted } from './target.js';

/** A server that listens, and where its socket came from. */
export interface Listening {
  readonly server: Server;
  /** What `server.address()` says, also for an inherited unix socket. An abstract name starts with NUL, as in Node. */
  readonly address: AddressInfo | string | null;
  readonly source: 'inherited' | 'bound';
  /** FileDescriptorName= of the inherited socket; null for one we bound. */
  readonly name: string | null;
  /** Where a client on this machine reaches it; null for unix sockets and for servers that do not speak HTTP. */
  readonly url: string | null;
}

function isSocket(fd: number): boolean {
  try {
    return fs.fstatSync(fd).isSocket();
  } catch {
    return false; // closed
  }
}

function inheritedDescriptors(required: boolean): readonly InheritedFd[] {
  // A worker may bind as it likes; only what the manager passed is not for it.
  if (!required && isWorkerThread() && process.env['LISTEN_FDS'] === undefined) return [];
  const passed = listenFds();
  if (passed.length > 0) return passed;
  const stdin = listeningStdin(isSocket);
  return stdin ? [stdin] : [];
}

/** Host names are resolved, so that they can be compared with what a socket is bound to. */
async function comparable(address: Address | null): Promise<Address[]> {
  if (address === null) return [];
  if (address.kind !== 'inet' || address.host === null || address.host === 'localhost') return [address];
  if (net.isIP(address.host)) return [address];
  try {
    const found = await process.getBuiltinModule('node:dns/promises').lookup(address.host, { all: true });
    return found.map((one) => ({ ...address, host: one.address }));
  } catch {
    return [address]; // it matches nothing; if it comes to binding, that reports the failed lookup
  }
}

function refuseInactive(): never {
  const other = meantForPid();
  const why =
    other === null
      ? 'LISTEN_FDS and LISTEN_PID are not set, and standard input is no listening socket'
      : `LISTEN_PID=${other} is another process, this one is ${process.pid} (a shell or npm in between?)`;
  throw new ListenFdsError('LISTENFDS_NOT_ACTIVATED', `No descriptor was passed: ${why}`);
}

function reportMismatch({ inherited }: Choice, wanted: Wanted): void {
  if (wanted.mismatch === 'ignore') return;
  const error = new ListenFdsError(
    'LISTENFDS_ADDRESS_MISMATCH',
    `The inherited socket fd ${inherited.fd} (FileDescriptorName '${inherited.name}') is bound to ` +
      `${formatAddress(inherited.address)}, not to ${formatAddress(wanted.address)} as asked for`,
    { fd: inherited.fd },
  );
  if (wanted.mismatch === 'error') throw error;
  process.emitWarning(error.message, { type: 'ListenFdsWarning', code: error.code });
}

/** Takes the inherited descriptor that is meant, or returns null where one of our own is to be bound. */
async function takeInherited(wanted: Wanted): Promise<InheritedFd | null> {
  if (wanted.activation === 'never') return null;
  const required = wanted.activation === 'required';
  const passed = inheritedDescriptors(required);
  if (passed.length === 0) {
    if (required) refuseInactive();
    return null;
  }
  const addresses = await comparable(wanted.address);
  // From here to take() nothing waits: two calls at once never choose the same one.
  const choice = choose(passed, { name: wanted.name, addresses, kinds: ['tcp', 'unix'], required });
  if (choice === null) return null;
  if (choice.mismatch) reportMismatch(choice, wanted);
  choice.inherited.take();
  return choice.inherited;
}

// Clamped by the kernel to net.core.somaxconn: where the backlog in force is not known, it at least never shrinks.
const mostBacklog = 0x7fffffff;

/**
 * Node calls listen(2) again on what it adopts, with 511 unless told otherwise: that would shrink the queue for the
 * manager as well. Only the positional form is honoured next to `fd`.
 */
function listenOn(server: Server, inherited: InheritedFd, path: string | null): void {
  const listen = server.listen as (options: { fd: number }, backlog: number) => Server;
  listen.call(server, { fd: inherited.fd }, inherited.backlog ?? mostBacklog);
  if (path !== null) {
    // Node does not know the path of a unix socket that it did not bind, and frameworks crash on null.
    server.address = () => (server.listening ? path : null);
    server.once('close', () => delete (server as Partial<Server>).address);
  }
}

/** Where clients find an inherited unix socket: it may have been moved since it was bound, as prepareBind() does. */
function servedPath({ address, description }: InheritedFd, wanted: Wanted): string | null {
  if (typeof address !== 'string') return null;
  return wanted.address?.kind === 'unix' && matches(wanted.address, description) ? wanted.address.path : address;
}

/** Some runtimes take { fd } for "any port": then the server is up, but on a socket nobody knows. */
function verifyAdopted(server: Server, inherited: InheritedFd, path: string | null): void {
  const handle = (server as { _handle?: { fd?: number } | null })._handle;
  const sameFd = handle?.fd === undefined || handle.fd === inherited.fd;
  const address = server.address();
  if (sameFd && formatAddress(address) === formatAddress(path ?? inherited.address)) return;
  server.close();
  throw new ListenFdsError(
    'LISTENFDS_WRONG_SOCKET',
    `The server listens on ${formatAddress(address)} instead of the inherited fd ${inherited.fd} at ${formatAddress(inherited.address)}`,
    { fd: inherited.fd },
  );
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
 * the only one left, with a warning that says both addresses (LISTENFDS_ADDRESS_MISMATCH).
 *
 * @example
 * const { url } = await listen(app, 3000);
 *
 * @throws ListenFdsError; docs/errors.md has every code
 * @throws what Node's own listen() fails with, EADDRINUSE for example
 */
export async function listen(app: App, target?: Target): Promise<Listening> {
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
  if (wanted.limits) (await import('./service/room.js')).limit(server, wanted.limits);
  if (wanted.authorize !== null) authorize(server, wanted.authorize);
  const inherited = await takeInherited(wanted);
  if (inherited) {
    const path = servedPath(inherited, wanted);
    try {
      await start(() => listenOn(server, inherited, path));
    } catch (error) {
      putBack(inherited);
      throw error;
    }
    verifyAdopted(server, inherited, path);
    gatekeeper(server).shared = true;
  } else {
    const prepared = await prepareBind(wanted);
    await start(() => prepared.open(server));
  }
  const address = server.address();
  return {
    server,
    address,
    source: inherited ? 'inherited' : 'bound',
    name: inherited?.name ?? null,
    url: urlOf(server, address),
  };
}
