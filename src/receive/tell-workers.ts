// The words of a primary for its cluster workers, in the environment.

import { type Description, isNodeStream, isUdp } from './descriptor.js';
import type { InheritedFd } from './inherited.js';

/** The value of LISTENFDS_PRIMARY. The pid comes first: register.ts looks for it. */
export interface TellingWorkers {
  readonly pid: number;
  readonly passed: readonly { readonly name: string; readonly description: Description }[];
}

/** The kinds that node:cluster can lend to its workers. */
export function isLendable({ description, listening, connected }: InheritedFd): boolean {
  return (listening && isNodeStream(description)) || (isUdp(description) && !connected);
}

/** Leaves word in the environment for cluster workers, which listen through this process. */
export function tellWorkers(passed: readonly InheritedFd[]): void {
  const lendable = passed.filter(isLendable);
  process.env['LISTENFDS_PRIMARY'] = JSON.stringify({
    pid: process.pid,
    passed: lendable.map(({ name, description }) => ({ name, description })),
  } satisfies TellingWorkers);
}
