// The sockets this process bound itself. An upgrade passes them on like inherited ones; from then on their paths are the
// successor's.

/** One of them, for as long as it is open. */
export interface OwnSocket {
  /** FileDescriptorName= it is passed on under. */
  readonly name: string;
  /** Its descriptor now, null where it is closed. */
  fd(): number | null;
  /** A successor has it: nothing is unlinked when it closes here. */
  handOver(): void;
}

// Shared by two copies of the package.
const key = Symbol.for('listenfds.own');

export function ownSockets(): Set<OwnSocket> {
  const holder = globalThis as { [key]?: Set<OwnSocket> };
  return (holder[key] ??= new Set());
}

/**
 * Registers a descriptor that we opened ourselves.
 *
 * @param ended unlinks what was made, unless that is a successor's now
 * @returns to be called when the descriptor has been closed
 */
export function registerOwn(
  fd: number,
  name: string | null,
  ended: ((handedOver: boolean) => void) | null,
): () => void {
  let handedOver = false;
  const entry: OwnSocket = { name: name ?? 'unknown', fd: () => fd, handOver: () => (handedOver = true) };
  ownSockets().add(entry);
  return () => {
    ownSockets().delete(entry);
    ended?.(handedOver);
  };
}
