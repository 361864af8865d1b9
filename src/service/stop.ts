// The end of a service: what ends it, the drain of its apps, and the exit of the process.
import type { ConnectionStats } from '../admit/gate.js';
import type { AdaptedApp } from '../listen/frameworks/adapted.js';
import { ListenFdsError } from '../system/errors.js';
import { type DrainResult, type DrainTimes, drain } from './drain.js';
import type { OwnOptions, StopContext, StopReason } from './options.js';
import type { Signals } from './signals.js';
import { type Voice, oneLine } from './voice.js';

/** A stop hook gets this long when draining has used up its time. Milliseconds. */
const leastHookTime = 1_000;

/**
 * `starting` until READY=1. `told`: it is to stop, and goes on for drainDelay. `draining`: it accepts nothing any more.
 * Phases only go forward.
 */
export type Phase = 'starting' | 'serving' | 'told' | 'draining' | 'stopped';

/** The parts of a service that its stop has to do with. */
export interface Stoppable {
  readonly options: OwnOptions;
  readonly apps: readonly AdaptedApp[];
  readonly voice: Voice;
  readonly signals: Signals;
  readonly stats: ConnectionStats;
  /** Gives up a hand-over that is under way. Resolves when no successor is left behind. */
  abandonUpgrade(): Promise<unknown>;
  /** Ends everything that runs beside the apps. */
  release(): void;
}

async function withDeadline(work: unknown, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new ListenFdsError('LISTENFDS_TIMEOUT', `onStop did not finish within ${Math.round(milliseconds)} ms`));
    }, milliseconds);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** A framework's close hooks end its WebSockets, so they run once nothing else is left, not after the deadline. */
async function drainApp(adapted: AdaptedApp, options: DrainTimes): Promise<DrainResult> {
  let closing: Promise<void> | undefined;
  const result = await drain(adapted.server, options, () => {
    closing = adapted.close();
    closing.catch(() => {}); // reported below
  });
  await (closing ?? adapted.close());
  return result;
}

export class Stop {
  #phase: Phase = 'starting';
  readonly #service: Stoppable;
  /** A signal that came while the service was starting. */
  #early: StopReason | null = null;
  /** A signal has ended it: the next one does so at once. */
  #signalled = false;
  #draining: Promise<DrainResult> | null = null;
  #stopping: Promise<void> | null = null;
  #endDelay: () => void = () => {};

  constructor(service: Stoppable) {
    this.#service = service;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** The service is up. What came meanwhile ends it now. */
  started(): void {
    this.#phase = 'serving';
    if (this.#early) this.end(this.#early);
  }

  #advance(phase: Phase): void {
    if (this.#phase !== 'stopped') this.#phase = phase;
  }

  /** A signal, idleness or an upgrade ends the service and the process. */
  end(reason: StopReason): void {
    if (this.#phase === 'starting') {
      this.#early ??= reason;
      return;
    }
    if (reason === 'close' && this.#stopping) return;
    const signal = reason === 'SIGTERM' || reason === 'SIGINT' ? reason : null;
    const { options } = this.#service;
    if (this.#signalled) {
      if (signal && options.exit) this.#service.signals.raise(signal);
      return;
    }
    this.#signalled = signal !== null;
    const delay = signal === null ? 0 : options.drainDelay;
    this.#stop({ reason }, options.drain, delay).then(
      () => this.#exit(0),
      (error: unknown) => {
        options.log('The service did not end cleanly:', error);
        this.#exit(1);
      },
    );
  }

  crash(error: unknown): void {
    this.#service.options.log('Uncaught', error);
    if (this.#phase === 'starting' || this.#stopping) process.exit(1);
    const { voice, options } = this.#service;
    const { errno } = error as { errno?: unknown };
    voice.tell({
      status: `Failed: ${oneLine(error)}`,
      exitStatus: 1,
      ...(typeof errno === 'number' && errno !== 0 ? { errno: Math.abs(errno) } : {}),
    });
    const end = (): void => this.#exit(1);
    this.#stop({ reason: 'error', error }, { timeout: options.crashTimeout, grace: 0 }).then(end, end);
  }

  close(): Promise<void> {
    return this.#stop({ reason: 'close' }, this.#service.options.drain);
  }

  drain(): Promise<DrainResult> {
    return this.#drain(this.#service.options.drain);
  }

  #exit(code: number): void {
    if (this.#service.options.exit) process.exit(code);
  }

  #stop(context: Omit<StopContext, 'deadline'>, options: DrainTimes, delay = 0): Promise<void> {
    const abandoned = this.#service.abandonUpgrade();
    this.#stopping ??= this.#stopOnce(context, options, delay, abandoned);
    return this.#stopping;
  }

  async #stopOnce(
    context: Omit<StopContext, 'deadline'>,
    options: DrainTimes,
    delay: number,
    abandoned: Promise<unknown>,
  ): Promise<void> {
    if (delay > 0 && !this.#draining) await this.#delay(delay);
    const deadline = Date.now() + options.timeout;
    const { onStop } = this.#service.options;
    try {
      await this.#drain(options);
      if (onStop) await withDeadline(onStop({ ...context, deadline }), Math.max(leastHookTime, deadline - Date.now()));
    } finally {
      await abandoned;
      this.#advance('stopped');
      this.#service.release();
    }
  }

  /** Goes on as before, but not ready; a drain() that the program asks for meanwhile ends it. */
  async #delay(milliseconds: number): Promise<void> {
    this.#advance('told');
    const { voice, stats } = this.#service;
    const told = voice.tellStopping(() => `Not ready, draining soon, ${stats.active} connections`);
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#endDelay = resolve;
      timer = setTimeout(resolve, milliseconds);
    });
    clearTimeout(timer);
    told();
  }

  #drain(options: DrainTimes): Promise<DrainResult> {
    this.#endDelay();
    this.#draining ??= this.#drainAll(options);
    return this.#draining;
  }

  async #drainAll(options: DrainTimes): Promise<DrainResult> {
    this.#advance('draining');
    const started = performance.now();
    const { apps, voice } = this.#service;
    const told = voice.tellStopping(() => `Draining, ${this.#service.stats.active} connections left`);
    const results = await Promise.all(apps.map((adapted) => drainApp(adapted, options)));
    told();
    const sum = (key: 'completed' | 'closedIdle' | 'destroyed'): number =>
      results.reduce((all, one) => all + one[key], 0);
    return {
      completed: sum('completed'),
      closedIdle: sum('closedIdle'),
      destroyed: sum('destroyed'),
      durationMs: performance.now() - started,
    };
  }
}
