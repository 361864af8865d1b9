// The doors to the room, part of the core: they load it when it is first asked for.
import type { Server, Socket } from 'node:net';
import type { App } from '../listen/frameworks/adapt.js';
import { willNeed } from '../system/read-ahead.js';
import '../system/started.js';
import { type ListenTarget, type Target, refuseMore } from '../take/target.js';
import type { DrainOptions, DrainResult } from './drain.js';
import type { ServeOptions, ServedApp, Service } from './options.js';
import type * as Room from './room.js';

let room: typeof Room | undefined;

willNeed(async () => (await import('./room.js')).readAll());

/**
 * Ends a server's work without losing a request: stops accepting at once, answers requests in flight and says
 * `Connection: close` with it, leaves idle keep-alive connections open for `grace` since a request may be on its way,
 * sends HTTP/2 sessions a GOAWAY and lets their streams finish. Connections that only the program can end gracefully, WebSockets and
 * the connections of a server that does not speak HTTP, is named in the server's 'draining' event ({@link DrainingEvent});
 * after `timeout` everything left is destroyed.
 *
 * The listening socket is closed, never shut down: the copy of the manager or of a successor goes on listening. A second call
 * while one is under way joins it.
 *
 * @example
 * const { completed, closedIdle, destroyed } = await drain(server, { timeout: 10_000 });
 *
 * @throws ListenFdsError LISTENFDS_BAD_OPTION
 */
export async function drain(server: Server, options?: DrainOptions): Promise<DrainResult> {
  room ??= await import('./room.js');
  return room.drain(server, options);
}

/**
 * Runs a service from its first listener to its exit: `listen()`, READY=1, watchdog pings, counts in STATUS=, SIGHUP
 * to reload, SIGTERM or SIGINT to drain and exit 0 (a second one ends at once), idle exit, and after an uncaught error a
 * short drain and exit 1.
 *
 * @example
 * await serve(app, { port: 3000, idleTimeout: '10min', onStop: () => database.end() });
 *
 * @example
 * await serve([{ app, name: 'web' }, { app: admin, name: 'admin', port: 9000 }], { onReload: readConfiguration });
 *
 * @throws ListenFdsError as `listen()` does; then nothing is left listening and no signal is caught
 */
export function serve(app: App, options?: Target | (ListenTarget & ServeOptions)): Promise<Service>;
export function serve(apps: readonly ServedApp[], options?: ServeOptions): Promise<Service>;
export async function serve(
  app: App | readonly ServedApp[],
  options?: Target | (ListenTarget & ServeOptions),
  ...more: unknown[]
): Promise<Service> {
  refuseMore('serve', more);
  room ??= await import('./room.js');
  return room.serve(app, options);
}

/**
 * The state that the process before this one handed over with upgrade({ state }), or null. Ask for it before
 * or after serve(); the answer stays the same.
 */
export async function upgradeState(): Promise<unknown> {
  room ??= await import('./room.js');
  return room.upgradeState();
}

/**
 * Leaves open connections with the service manager, for the next start: they are stored as {@link storeFds} does it, and
 * closed here without the client noticing. For raw TCP and unix connections between two messages; one with something in its
 * buffers, read but not handled or written but not sent, cannot move and stays as it is.
 *
 * The next start finds them in listenFds() under `name`, `connected`, takes them, and has to remove them from the store at
 * once: as long as the manager has a copy, no connection ends for its client.
 *
 * @example
 * const stored = listenFds().filter(({ name, connected }) => name === 'client' && connected);
 * for (const one of stored) talk(new Socket({ fd: one.take() }));
 * await removeStoredFds('client');
 * server.on('draining', ({ sockets }) => storeConnections('client', sockets));
 * await serve(server, 7000);
 *
 * @returns how many are with the manager now; 0 if there is none
 * @throws ListenFdsError as {@link storeFds} does; then all of them are open as before
 */
export async function storeConnections(name: string, sockets: readonly Socket[]): Promise<number> {
  room ??= await import('./room.js');
  return room.storeConnections(name, sockets);
}
