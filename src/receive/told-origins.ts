// What a process tells its successor of where each socket came from, in a variable of its own beside LISTEN_FDNAMES. By the
// inode: an order or a number would say nothing if the variable is older than the descriptors.
import { type Inode } from './descriptor.js';
import type { Origin } from './origin.js';

export const originsVariable = 'LISTENFDS_ORIGINS';

/** What is known of one socket beyond the kernel's facts. */
export interface Whence {
  /** Of the successor: a socket that a process bound itself is its successor's `predecessor`. */
  readonly origin: Origin;
  /** The address as the program had asked for it: only this tells which of two sockets on any free port is which. */
  readonly asked: string;
}

export function inodeKey({ major, minor, number }: Inode): string {
  return `${major}:${minor}:${number}`;
}

export function tellOrigins(origins: ReadonlyMap<string, Whence>): string {
  return JSON.stringify([...origins].map(([key, { origin, asked }]) => [key, origin, asked]));
}

const passedOn: readonly unknown[] = ['manager', 'store', 'predecessor'] satisfies Origin[];

/** Whatever cannot be read says nothing. */
export function toldOrigins(value: string | undefined): ReadonlyMap<string, Whence> {
  const origins = new Map<string, Whence>();
  if (value === undefined) return origins;
  let told: unknown;
  try {
    told = JSON.parse(value);
  } catch {
    return origins;
  }
  for (const one of Array.isArray(told) ? told : []) {
    const [key, origin, asked] = Array.isArray(one) ? (one as unknown[]) : [];
    if (typeof key !== 'string' || typeof asked !== 'string' || !passedOn.includes(origin)) continue;
    origins.set(key, { origin: origin as Origin, asked });
  }
  return origins;
}
