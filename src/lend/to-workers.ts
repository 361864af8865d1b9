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

/** Whether somebody in this process has called this before: what is put in place is put in place once. */
export function lendingDone(): boolean {
  const holder = globalThis as { [doneKey]?: true };
  const before = holder[doneKey] === true;
  holder[doneKey] = true;
  return before;
}

/** Lets cluster workers of this process listen on what it was passed: each asks for it by number. */
export function lendToWorkers(): void {
  if (lendingDone()) return;
  const lender = new Lender(listenFds().filter(isServable));
  const nothing = (): void => {};
  redirectStreams(lender, { opened: nothing, closed: nothing, lent: nothing }, true);
  keepBacklogs(lender);
}
