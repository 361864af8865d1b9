// Several apps that open their sockets in one turn of the event loop: an app that fails to start must not find another one
// accepting already, whose requests would be lost with it.
import type { Server } from 'node:net';
import { gatekeeper } from '../admit/gate.js';
import type { AdaptedApp } from '../listen/frameworks/adapted.js';
import { ListenFdsError } from '../system/errors.js';

/** A moment that is waited for. */
function moment(): { readonly reached: Promise<void>; reach(): void } {
  let reach!: () => void;
  const reached = new Promise<void>((resolve) => (reach = resolve));
  return { reached, reach };
}

/** As if the server's own listen() had taken so long: what goes wrong is an 'error' event. */
function openLate(server: Server, open: () => void): void {
  try {
    open();
  } catch (error) {
    server.emit('error', error as Error);
  }
}

/** It does not open any more, whatever its framework still waits for. */
function giveUp(server: Server): void {
  const why = new ListenFdsError('LISTENFDS_CLOSED', 'Another app of this service could not be started');
  server.once('listening', () => server.close());
  if (server.listenerCount('error') > 0) server.emit('error', why);
}

/**
 * Brings each app to the moment of opening its socket, one after the other, and then opens all of them.
 *
 * @param listen starts an app and gives what came of it
 * @throws the error of the first that fails; the others that listen by then go on doing so
 */
export async function openTogether<T>(
  apps: readonly AdaptedApp[],
  listen: (app: AdaptedApp, i: number) => Promise<T>,
): Promise<T[]> {
  if (apps.length === 1) return [await listen(apps[0]!, 0)];
  const opens: (() => void)[] = [];
  const running: Promise<T>[] = [];
  try {
    for (const [i, app] of apps.entries()) {
      const { reached, reach } = moment();
      const start = (open: () => void): Promise<void> =>
        app.start(() => {
          opens.push(() => openLate(app.server, open));
          reach();
        });
      const listening = listen({ ...app, start }, i);
      running.push(listening);
      await Promise.race([reached, listening]);
    }
    for (const open of opens) open();
    return await Promise.all(running);
  } catch (error) {
    for (const one of running) one.catch(() => {}); // the first failure is the reason
    for (const { server } of apps) {
      if (!server.listening) giveUp(server);
      else if (gatekeeper(server).accepted === 0) server.close(); // in this turn still, before it accepts
    }
    throw error;
  }
}
