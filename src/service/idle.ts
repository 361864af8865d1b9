// Idle exit: when nothing has happened on any listener for long enough, the service may leave; the manager keeps its
// sockets and starts it again for the next connection.
import type { Socket } from 'node:net';
import { type Gatekeeper, isUpgraded, responseInFlight, sessionOf } from '../admit/gate.js';

/** Bytes seen on a connection at the last look. */
type Seen = WeakMap<Socket, number>;

/**
 * Whether a connection is at work, or has been since the last look. One that says nothing is idle, a WebSocket never. Of
 * HTTP/2 only requests count: clients of gRPC send PINGs for as long as they are there.
 */
function isBusy(socket: Socket, seen: Seen): boolean {
  if (sessionOf(socket)) return false;
  const bytes = socket.bytesRead + socket.bytesWritten;
  const quiet = seen.get(socket) === bytes;
  seen.set(socket, bytes);
  return !quiet || isUpgraded(socket) || responseInFlight(socket) !== null;
}

/** An idle exit that is waited for. */
export interface IdleWatch {
  /** Whether nothing has been going on for long enough. */
  isIdle(): boolean;
  stop(): void;
}

/**
 * Calls `leave` once nothing has been going on for `timeout` ms, at most a fifth later, and again and again while that
 * stays so. Looking from time to time instead of at every event keeps requests free of charge.
 *
 * @param working whether there is other work
 */
export function watchIdle(
  keepers: readonly Gatekeeper[],
  timeout: number,
  leave: () => void,
  working: () => boolean = () => false,
): IdleWatch {
  const seen: Seen = new WeakMap();
  const step = Math.max(10, Math.min(timeout / 5, 60_000));
  let begun = 0;
  let lastBusy = performance.now();
  const look = (): void => {
    const all = keepers.reduce((sum, { accepted, streamed }) => sum + accepted + streamed, 0);
    let busy = all !== begun || working();
    begun = all;
    for (const { sockets, streams } of keepers) {
      if (streams > 0) busy = true;
      for (const socket of sockets) if (isBusy(socket, seen)) busy = true;
    }
    if (busy) lastBusy = performance.now();
  };
  const isIdle = (): boolean => {
    look();
    return performance.now() - lastBusy >= timeout;
  };
  look(); // earlier connections are no news
  const timer = setInterval(() => isIdle() && leave(), step);
  return { isIdle, stop: () => clearInterval(timer) };
}
