// What we opened ourselves: an upgrade passes it on, and what then belongs to the successor is not unlinked here.
import { type OwnSocket, ownSockets } from './own.js';

/**
 * @param remove unlinks what was made, null where that is to stay
 * @returns to be called when the descriptor has been closed
 */
export function opened(fd: number, name: string | null, remove: (() => void) | null): () => void {
  let handedOver = false;
  const entry: OwnSocket = { name: name ?? 'unknown', fd: () => fd, handOver: () => (handedOver = true) };
  ownSockets().add(entry);
  return () => {
    ownSockets().delete(entry);
    if (!handedOver) remove?.();
  };
}
