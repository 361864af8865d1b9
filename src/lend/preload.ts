// What is put in place: everything for an unmodified program, and for a program that uses the library only what its
// cluster workers need.
import type { Cluster } from 'node:cluster';
import type { InheritedFd } from '../inherited.js';
import {
  inheritedDescriptors,
  ListenFdsError,
  listenFds,
  parseActivation,
  refuseInactive,
  tellWorkers,
  workersCluster,
} from '../internal.js';
import { Lender } from './lender.js';
import { Life, lifeOptions } from './life.js';
import { redirectDatagrams, redirectStreams, type Listener } from './redirect.js';
import { passedToPrimary } from './workers.js';

const isServable = ({ kind, listening }: InheritedFd): boolean =>
  (listening && (kind === 'tcp' || kind === 'unix')) || kind === 'udp';

/**
 * A worker that shares the handle calls listen(2) on it with a backlog of its own choice. The queue is the manager's, and
 * the other workers'.
 */
function keepBacklogs(lender: Lender): void {
  (process.getBuiltinModule('node:cluster') as unknown as Cluster).on('listening', () => lender.restoreBacklogs());
}

/** See register.ts. */
export function preload(env: NodeJS.ProcessEnv = process.env): void {
  const activation = parseActivation(env);
  if (activation === 'never') return;
  const options = lifeOptions(env);
  const mismatch = env['LISTENFDS_MISMATCH'] || 'warn';
  if (!['warn', 'error', 'ignore'].includes(mismatch)) {
    throw new ListenFdsError(
      'LISTENFDS_BAD_ENVIRONMENT',
      `LISTENFDS_MISMATCH=${JSON.stringify(mismatch)} is none of warn, error, ignore`,
      { variable: 'LISTENFDS_MISMATCH' },
    );
  }
  const inherited = inheritedDescriptors(activation === 'required', false);
  const isChild = env['LISTENFDS_PRIMARY'] !== undefined;
  const isWorker = inherited.length === 0 && isChild && workersCluster() !== null;
  if (inherited.length === 0 && activation === 'required' && !isChild) refuseInactive();
  // A worker asks by number what it takes: Node refuses an answer with another port than the one asked for.
  const passed = isWorker ? passedToPrimary() : inherited.filter(isServable);
  if (passed.length === 0 && !isWorker) return;

  const life = new Life(options);
  const lender = new Lender(passed, mismatch, isWorker);
  const check = (): void => {
    if (isWorker) return; // the manager knows the primary
    // A program may only have looked whether its port is free.
    setImmediate(() => {
      if (passed.every(({ taken }) => taken)) life.ready();
    });
  };
  let workersHaveIt = false;
  const listener: Listener = {
    opened(server, loan) {
      life.opened(server, loan !== null);
      if (loan) check();
    },
    closed: (server) => life.closed(server),
    lent() {
      if (!workersHaveIt) keepBacklogs(lender);
      workersHaveIt = true;
      check();
    },
  };
  redirectStreams(lender, listener, false);
  if (passed.some(({ kind }) => kind === 'udp')) redirectDatagrams(lender, check);
  if (!isWorker) tellWorkers(passed);
  // Done here, it is not done again by listenFds().
  lendingDone();
}

const doneKey = Symbol.for('listenfds.lending');

function lendingDone(): boolean {
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
