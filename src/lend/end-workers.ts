// The workers of a cluster end before their primary does.
import type { Worker } from 'node:cluster';
import { ListenFdsError } from '../system/errors.js';
import { hearCluster, workersHere } from './to-workers.js';

/**
 * Waits until all have ended. A program that forks a new worker for each that ends does so now, too: those are lent no
 * socket, have nothing to lose, and end with this process.
 *
 * @param left how many milliseconds are left until those that have not ended are killed: an event loop may stand still
 * @param ask says to a worker that it is to end
 * @throws ListenFdsError LISTENFDS_TIMEOUT, naming those that were killed
 */
export async function endWorkers(left: () => number, ask: (worker: Worker) => void): Promise<void> {
  const began = performance.now();
  const living = new Set(workersHere().filter((worker) => !worker.isDead()));
  const asked = new Set(living);
  hearCluster((query, worker) => {
    if (query.act === 'queryServer' && !asked.has(worker)) query.act = '';
  });
  process.once('exit', () => workersHere().forEach(({ process }) => process.kill('SIGKILL')));
  let changed = (): void => {};
  for (const worker of living) {
    worker.once('exit', () => {
      living.delete(worker);
      changed();
    });
    ask(worker);
  }
  while (living.size > 0 && left() > 0) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, left());
      changed = () => (clearTimeout(timer), resolve());
    });
  }
  if (living.size === 0) return;
  for (const worker of living) worker.process.kill('SIGKILL');
  const pids = [...living].map(({ process }) => process.pid).join(', ');
  const waited = Math.ceil(performance.now() - began);
  throw new ListenFdsError('LISTENFDS_TIMEOUT', `Workers were killed after ${waited} ms: ${pids}`);
}
