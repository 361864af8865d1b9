// The primary of a cluster speaks to the manager, for all of its workers: it is the main process. The service is ready when the
// first worker is, its status counts the connections of all, the watchdog is fed while every worker gives signs of life, and at
// SIGTERM the workers drain before the primary ends. Workers that have not ended by the deadline are killed.
import type { Worker } from 'node:cluster';
import { announce } from '../manager/announce.js';
import { keepStopping } from '../manager/keep-stopping.js';
import { notify } from '../manager/notify.js';
import { hasSpoken } from '../manager/spoken.js';
import { type Said, primaryHears, workerSays } from '../manager/through-primary.js';
import { startWatchdog, watchdogEnabled } from '../manager/watchdog.js';
import { markHandler } from '../system/own-handlers.js';
import { readVariable } from '../text/variables.js';
import { endWorkers } from './end-workers.js';
import { hearWorkers } from './to-workers.js';

/** Between two messages that are only about counts. Milliseconds. */
const leastInterval = 1_000;

/** A worker that begins to drain later than its primary ends later. Milliseconds. */
const workerMargin = 1_000;

interface Known {
  /** By performance.now(). */
  alive: number;
  stopping: boolean;
  /** Until when its stop may take, by performance.now(): as far as it has said. */
  until: number;
  counts: NonNullable<Said['counts']>;
}

const nothing = { active: 0, accepted: 0, refused: 0 };

class WorkersVoice {
  readonly #workers = new Map<Worker, Known>();
  /** Of workers that have ended. */
  #before = nothing;
  readonly #drainTimeout = readVariable('LISTENFDS_DRAIN_TIMEOUT', process.env);
  #ready = false;
  #speaks = false;
  #ending = false;
  #timer: NodeJS.Timeout | undefined;

  hear(worker: Worker, said: Said): void {
    if (!this.#workers.has(worker)) this.#meet(worker);
    const known = this.#workers.get(worker);
    if (!known) return; // its last words
    known.alive = performance.now();
    if (said.stopping) {
      known.stopping = true;
      known.until = known.alive + Number(said.extendTimeout ?? 0) + workerMargin;
    }
    if (said.counts) {
      known.counts = said.counts;
      if (this.#timer === undefined) this.#timer = setTimeout(() => this.#tellStatus(), leastInterval).unref();
    }
    if (said.ready) this.#tellReady();
  }

  #meet(worker: Worker): void {
    if (worker.isDead()) return;
    this.#workers.set(worker, { alive: performance.now(), stopping: false, until: 0, counts: nothing });
    if (worker.isConnected()) worker.process.send({ cmd: primaryHears }, () => {});
    worker.once('exit', () => {
      const { accepted, refused } = this.#workers.get(worker)!.counts;
      this.#before = {
        active: 0,
        accepted: this.#before.accepted + accepted,
        refused: this.#before.refused + refused,
      };
      this.#workers.delete(worker);
    });
  }

  #status(): string {
    const all = [...this.#workers.values()];
    const sum = (key: keyof typeof nothing): number =>
      all.reduce((sum, { counts }) => sum + counts[key], this.#before[key]);
    const workers = `${all.length} worker${all.length === 1 ? '' : 's'}`;
    return `${workers}: ${sum('active')} active, ${sum('accepted')} accepted, ${sum('refused')} refused`;
  }

  #tellReady(): void {
    if (this.#ready) return;
    this.#ready = true;
    process.on('SIGTERM', this.#onTerminate);
    // A primary that speaks for itself is not spoken for.
    if (hasSpoken('state')) return;
    this.#speaks = true;
    announce({ ready: true, status: this.#status() }).catch(() => {});
    const timeout = hasSpoken('watchdog') ? null : watchdogEnabled();
    if (timeout !== null) startWatchdog({ healthy: () => this.#areAlive(timeout) });
  }

  /** A worker whose event loop stands still, or that says it is not well, is heard no more. */
  #areAlive(timeout: number): boolean {
    const since = performance.now() - timeout;
    return [...this.#workers.values()].every(({ alive, stopping }) => stopping || alive >= since);
  }

  #tellStatus(): void {
    this.#timer = undefined;
    if (!this.#speaks || this.#ending) return;
    try {
      notify({ status: this.#status() });
    } catch {
      // counts come again
    }
  }

  readonly #onTerminate = markHandler((): void => {
    // Handlers of the program's own know what is to be done.
    if (this.#ending || process.listenerCount('SIGTERM') > 1) return;
    this.#ending = true;
    const least = performance.now() + this.#drainTimeout + workerMargin;
    // A worker that drains for longer says so, as it would say it to the manager, as long as its event loop turns.
    const left = (): number =>
      Math.max(least, ...[...this.#workers.values()].map(({ until }) => until)) - performance.now();
    keepStopping(left, (state) => {
      if (this.#speaks) announce({ ...state, status: `Draining, ${this.#status()}` }).catch(() => {});
    });
    // A manager that signals all has done so: it is one stop.
    endWorkers(left, (worker) => void worker.process.kill('SIGTERM')).then(
      () => process.exit(0),
      (error: unknown) => {
        console.error('The service did not end cleanly:', error);
        process.exit(1);
      },
    );
  });
}

const key = Symbol.for('listenfds.workersVoice');

const holder = globalThis as { [key]?: WorkersVoice };

/** Once in a process. */
export function speakForWorkers(): void {
  if (holder[key]) return;
  const voice = (holder[key] = new WorkersVoice());
  hearWorkers(workerSays, (said, worker) => voice.hear(worker, said as Said));
}
