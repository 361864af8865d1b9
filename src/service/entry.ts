// The doors to the room, part of the core: they load it when it is first asked for.
import type { Server } from 'node:net';
import type { DrainOptions, DrainResult } from './drain.js';

/**
 * Ends a server's work without losing a request: stops accepting at once, answers what is in flight and says
 * `Connection: close` with it, leaves idle keep-alive connections open for `grace` since a request may be on its way,
 * sends HTTP/2 sessions a GOAWAY and lets their streams finish. What only the program can end gracefully, WebSockets and
 * the connections of a server that does not speak HTTP, is named in the server's 'draining' event ({@link DrainingEvent});
 * after `timeout` everything left is destroyed.
 *
 * The listening socket is closed, never shut down: what the manager or a successor holds goes on listening. A second call
 * while one is under way joins it.
 *
 * @example
 * const { completed, closedIdle, destroyed } = await drain(server, { timeout: 10_000 });
 *
 * @throws ListenFdsError LISTENFDS_BAD_OPTION
 */
export async function drain(server: Server, options?: DrainOptions): Promise<DrainResult> {
  return (await import('./room.js')).drain(server, options);
}
