// Lending to cluster workers: all that a program which uses the library itself needs of this folder.
import type { Worker } from 'node:cluster';
import type { InheritedFd } from '../receive/inherited.js';
import { binding } from '../system/addon.js';
import { nodeCluster } from '../system/process-role.js';
import { Lender } from './lender.js';
import { redirectStreams } from './redirect.js';

/**
 * A worker that shares the handle calls listen(2) on it with a backlog of its own choice. The queue is the manager's, and
 * the other workers'.
 */
export function keepBacklogs(lender: Lender): void {
  nodeCluster().on('listening', () => lender.restoreBacklogs());
}

/** What a worker asks its primary for when it binds a datagram socket. */
interface Query {
  readonly cmd?: string;
  readonly act?: string;
  readonly addressType?: unknown;
  fd?: unknown;
}

/**
 * Workers ask for a datagram socket by its number here, and the primary would close that when the last of them leaves.
 * So each is answered with a duplicate: there is no function to put a lender before, as there is for streams.
 */
export function lendDatagrams(lender: Lender, lent: () => void): void {
  if (!lender.passed.some(({ kind }) => kind === 'udp')) return;
  const answer = (query: Query): void => {
    const { cmd, act, addressType, fd } = query;
    if (cmd !== 'NODE_CLUSTER' || act !== 'queryServer' || typeof fd !== 'number') return;
    if (addressType !== 'udp4' && addressType !== 'udp6') return;
    const inherited = lender.lendToWorkers(fd);
    if (!inherited) return;
    const duplicate = binding().duplicate(fd);
    if (duplicate >= 0) query.fd = duplicate;
    lent();
  };
  const answerTo = ({ process: worker }: Worker): void =>
    void worker.prependListener('internalMessage' as 'message', answer as never);
  for (const worker of Object.values(nodeCluster().workers ?? {})) if (worker) answerTo(worker); // 'fork' is told later
  nodeCluster().on('fork', answerTo);
}

const doneKey = Symbol.for('listenfds.lending');

const holder = globalThis as { [doneKey]?: true };

/** What is put in place is put in place once in a process. */
export const isLending = (): boolean => holder[doneKey] === true;

export function lendingDone(): void {
  holder[doneKey] = true;
}

/** Lets cluster workers of this process listen on what it was passed: each asks for it by number. */
export function lendToWorkers(passed: readonly InheritedFd[]): void {
  if (isLending()) return;
  lendingDone();
  const lender = new Lender(passed);
  const nothing = (): void => {};
  redirectStreams(lender, { opened: nothing, closed: nothing, lent: nothing }, true);
  keepBacklogs(lender);
  lendDatagrams(lender, nothing);
}
