// Idle exit: when nothing has happened on any listener for long enough, the service may leave; the manager keeps its
// sockets and starts it again for the next connection.
import type { Socket } from 'node:net';
import { isUpgraded, responseInFlight } from '../admit/gate.js';
import type { Gatekeeper } from '../admit/gate.js';

/** Bytes seen on a connection at the last look. */
type Seen = WeakMap<Socket, number>;

/** Whether a connection is at work, or has been since the last look. One that says nothing is idle, a WebSocket never. */
function isBusy(socket: Socket, seen: Seen): boolean {
  const bytes = socket.bytesRead + socket.bytesWritten;
  const quiet = seen.get(socket) === bytes;
  seen.set(socket, bytes);
  return !quiet || isUpgraded(socket) || responseInFlight(socket) !== null;
}

/**
 * Calls `leave` once nothing has been going on for `timeout` ms, at most a fifth later. Looking from time to time instead
 * of at every event keeps requests free of charge.
 *
 * @returns stops watching
 */
export function watchIdle(keepers: readonly Gatekeeper[], timeout: number, leave: () => void): () => void {
  const seen: Seen = new WeakMap();
  const step = Math.max(10, Math.min(timeout / 5, 60_000));
  let accepted = 0;
  let lastBusy = performance.now();
  let timer = setTimeout(look, timeout);
  function look(): void {
    const now = performance.now();
    const total = keepers.reduce((sum, keeper) => sum + keeper.accepted, 0);
    let busy = total !== accepted;
    accepted = total;
    for (const { sockets, streams } of keepers) {
      if (streams > 0) busy = true;
      for (const socket of sockets) if (isBusy(socket, seen)) busy = true;
    }
    if (busy) lastBusy = now;
    if (now - lastBusy >= timeout) leave();
    else timer = setTimeout(look, step);
  }
  return () => clearTimeout(timer);
}
