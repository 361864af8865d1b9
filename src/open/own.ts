// The sockets that nobody keeps for us: those this process bound, and those its predecessor had bound. An upgrade passes
// them on; from then on each socket that the successor has taken, and its path, are the successor's.
import type { Loan } from '../receive/lent.js';
import { type Origin, keptBy } from '../receive/origin.js';
import { HeldFile } from '../system/files.js';
import { askedAs } from '../take/take.js';
import type { Place } from '../text/address.js';

/** One of them, for as long as it is open. */
export interface OwnSocket {
  /** FileDescriptorName= it is passed on under. */
  readonly name: string;
  /** Its description for the successor. */
  readonly origin: Origin;
  /** The address as it was asked for. */
  readonly asked: string;
  /** Its descriptor now, null if it is closed. */
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

/** The part of a target by which a successor knows its sockets. */
export interface Asked {
  readonly address: Place | null;
  readonly name: string | null;
  readonly store: string | null;
}

/** Registers a socket until the function that is returned is called. */
export function register(asked: Asked, { fd, handOver }: Pick<OwnSocket, 'fd' | 'handOver'>): () => void {
  const entry: OwnSocket = {
    name: asked.name ?? asked.store ?? 'unknown',
    origin: asked.store !== null && process.env['NOTIFY_SOCKET'] !== undefined ? 'store' : 'predecessor',
    asked: askedAs(asked),
    fd,
    handOver,
  };
  ownSockets().add(entry);
  return () => void ownSockets().delete(entry);
}

/** Ends one of our own: its path goes, unless a successor has it. */
export type Ended = (handedOver: boolean) => void;

/**
 * Registers a descriptor that we opened ourselves, or have from a predecessor.
 *
 * @param ended unlinks the path, unless that is a successor's now
 * @returns to be called when the descriptor has been closed
 */
export function registerOwn(fd: number, asked: Asked, ended: Ended | null): () => void {
  let handedOver = false;
  const forget = register(asked, { fd: () => fd, handOver: () => (handedOver = true) });
  return () => {
    forget();
    ended?.(handedOver);
  };
}

/**
 * What is to be done when a descriptor that was passed is closed: it is free again, or it was as good as our own.
 *
 * @param own how one of our own ends
 */
export function onceGone(loan: Loan, asked: Asked, own: () => Ended | null): () => void {
  return keptBy(loan.inherited.origin) === null ? registerOwn(loan.fd, asked, own()) : loan.giveBack;
}

/** The fate of the file of a socket that a predecessor had bound; null for an abstract name. */
export function fileOf(path: string | null, removes: boolean): Ended | null {
  const file = path === null || path.startsWith('\0') ? null : HeldFile.open(path);
  if (!file) return null;
  return (handedOver) => {
    if (removes && !handedOver) file.removeAt(path!);
    file.release();
  };
}
