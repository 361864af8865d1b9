// Lending to cluster workers: all that a program which uses the library itself needs of this folder.
import type { Worker } from 'node:cluster';
import type { InheritedFd } from '../receive/inherited.js';
import { isUdp } from '../receive/descriptor.js';
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

/** What a worker asks its primary for when it opens a socket, and says when it listens. */
interface Query {
  readonly cmd?: string;
  act?: string;
  readonly addressType?: unknown;
  readonly address?: unknown;
  fd?: unknown;
}

/** The workers of this primary. */
export const workersHere = (): readonly Worker[] =>
  Object.values(nodeCluster().workers ?? {}).filter((worker) => worker !== undefined);

/** Hears every message of that kind of every worker, before node:cluster does. */
export function hearWorkers(cmd: string, hear: (message: Query, worker: Worker) => void): void {
  const hearOne = (worker: Worker): void =>
    void worker.process.prependListener('internalMessage' as 'message', (message) => {
      if ((message as Query).cmd === cmd) hear(message as Query, worker);
    });
  for (const worker of workersHere()) hearOne(worker); // 'fork' is told later
  nodeCluster().on('fork', hearOne);
}

/** What node:cluster of a worker says to that of its primary. */
export const hearCluster = (hear: (query: Query, worker: Worker) => void): void => hearWorkers('NODE_CLUSTER', hear);

/**
 * A worker that listens on a number tells its primary no address. The event 'listening' has to say what it says of a
 * server that was bound: null and 4 for every address of this machine.
 */
export function tellAddresses(lender: Lender): void {
  hearCluster((query) => {
    const { act, address: told, addressType, fd: number } = query;
    if (act !== 'listening' || typeof number !== 'number' || told) return;
    const address = lender.passed.find(({ fd }) => fd === number)?.address ?? null;
    if (address === null) return;
    if (typeof address === 'string') {
      Object.assign(query, { address, port: -1, addressType: -1, fd: undefined });
      return;
    }
    const any = address.address === '::';
    const family = !any && address.family === 'IPv6' ? 6 : 4;
    Object.assign(query, { address: any ? null : address.address, addressType: addressType ?? family, fd: undefined });
  });
}

/**
 * Workers ask for a datagram socket by its number here, and the primary would close that when the last of them leaves.
 * So each is answered with a duplicate: there is no function to put a lender before, as there is for streams.
 */
export function lendDatagrams(lender: Lender, lent: () => void): void {
  if (!lender.passed.some(({ description }) => isUdp(description))) return;
  hearCluster((query) => {
    const { act, addressType, fd } = query;
    if (act !== 'queryServer' || typeof fd !== 'number') return;
    if (addressType !== 'udp4' && addressType !== 'udp6') return;
    const inherited = lender.lendToWorkers(fd);
    if (!inherited) return;
    const duplicate = binding().duplicate(fd);
    if (duplicate >= 0) query.fd = duplicate;
    lent();
  });
}

const doneKey = Symbol.for('listenfds.lending');

const holder = globalThis as { [doneKey]?: true };

/** Everything here is put in place once in a process. */
export const isLending = (): boolean => holder[doneKey] === true;

export function lendingDone(): void {
  holder[doneKey] = true;
}

/** Lets cluster workers of this process listen on the sockets it was passed: each asks for it by number. */
export function lendToWorkers(passed: readonly InheritedFd[]): void {
  if (isLending()) return;
  lendingDone();
  const lender = new Lender(passed);
  const nothing = (): void => {};
  redirectStreams(lender, { opened: nothing, closed: nothing, lent: nothing }, true);
  keepBacklogs(lender);
  tellAddresses(lender);
  lendDatagrams(lender, nothing);
}
