// Lending to cluster workers: all that a program which uses the library itself needs of this folder.
import type { Cluster } from 'node:cluster';
import type { InheritedFd } from '../inherited.js';
import { listenFds } from '../internal.js';
import { Lender } from './lender.js';
import { redirectStreams } from './redirect.js';

export const isServable = ({ kind, listening }: InheritedFd): boolean =>
  (listening && (kind === 'tcp' || kind === 'unix')) || kind === 'udp';

/**
 * A worker that shares the handle calls listen(2) on it with a backlog of its own choice. The queue is the manager's, and
 * the other workers'.
 */
export function keepBacklogs(lender: Lender): void {
  (process.getBuiltinModule('node:cluster') as unknown as Cluster).on('listening', () => lender.restoreBacklogs());
}

const doneKey = Symbol.for('listenfds.lending');

const holder = globalThis as { [doneKey]?: true };

/** What is put in place is put in place once in a process. */
export const isLending = (): boolean => holder[doneKey] === true;

export function lendingDone(): void {
  holder[doneKey] = true;
}

/** Lets cluster workers of this process listen on what it was passed: each asks for it by number. */
export function lendToWorkers(): void {
  if (isLending()) return;
  lendingDone();
  const lender = new Lender(listenFds().filter(isServable));
  const nothing = (): void => {};
  redirectStreams(lender, { opened: nothing, closed: nothing, lent: nothing }, true);
  keepBacklogs(lender);
}
