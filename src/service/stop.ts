// The end of a service: the phases it goes through, under one deadline.
import type { ConnectionStats } from '../admit/gate.js';
import type { AdaptedApp } from '../listen/frameworks/adapted.js';
import { type Origin, sourceOf } from '../receive/origin.js';
import { ListenFdsError } from '../system/errors.js';
import { type Carrier, canMove } from './carrier.js';
import { Deadline, closeGrace, crashGrace, idleExitGrace } from './deadline.js';
import { type DrainResult, type DrainTimes, drain } from './drain.js';
import { type OwnOptions, type StopContext, type StopReason, isStopSignal } from './options.js';
import { type Voice, oneLine } from './voice.js';

/** Hooks of frameworks and onStop have to end in order, and get this long when the deadline has passed. Milliseconds. */
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
  readonly listening: readonly { readonly origin: Origin }[];
  readonly voice: Voice;
  readonly stats: ConnectionStats;
  /** Work that goes on without a connection. */
  readonly busySet: ReadonlySet<Promise<unknown>>;
  /** Takes idle connections over to the next process, found out in a part of the time left; null if nothing does. */
  openCarrier(reason: StopReason, left: number): Promise<Carrier | null>;
  /** Resolves when the process that this one has taken over from is gone, and its connections have their servers; null without one. */
  predecessorGone(): Promise<unknown> | null;
  /** Gives up a hand-over that is under way. Resolves when no successor is left behind. */
  abandonUpgrade(): Promise<unknown>;
  /** Ends everything that runs beside the apps. */
  release(): void;
  /** It has ended, for a reason that ends the process. */
  ended(status: number, left: number): void;
}

export class Stop {
  #phase: Phase = 'starting';
  readonly #service: Stoppable;
  /** The reason that came while the service was starting. */
  #early: StopReason | null = null;
  #context: Omit<StopContext, 'deadline'> = { reason: 'close' };
  #deadline: Deadline | null = null;
  /** An uncaught error leaves this many milliseconds. */
  #crashTimeout: number | null = null;
  #draining: Promise<DrainResult> | null = null;
  #stopping: Promise<void> | null = null;
  #ending = false;
  /** The program itself ends it, and nobody listens on its address from then on. */
  #closed = false;
  readonly #abort = new AbortController();
  #carrier: Carrier | null = null;
  #waitTold = false;
  #endDelay: () => void = () => {};
  #endTelling: () => void = () => {};
  #forgetStart: () => void = () => {};

  constructor(service: Stoppable) {
    this.#service = service;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Aborted when the service stops accepting. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The service is up. A reason that came meanwhile ends it now. */
  started(): void {
    this.#phase = 'serving';
    this.#forgetStart();
    if (this.#early) this.end(this.#early);
  }

  /** The service and the process end. */
  end(reason: StopReason): void {
    if (this.#phase === 'starting') {
      this.#endBeforeStart(reason);
      return;
    }
    if (this.#ending || (reason === 'close' && this.#stopping)) return;
    this.#ending = true;
    const { options } = this.#service;
    const delay = isStopSignal(reason) ? options.drainDelay : 0;
    this.#stop({ reason }, delay).then(
      () => this.#ended(0),
      (error: unknown) => {
        if (this.#crashTimeout === null) options.log('The service did not end cleanly:', error);
        this.#ended(1);
      },
    );
  }

  #ended(status: number): void {
    this.#service.ended(this.#crashTimeout === null ? status : 1, this.#deadline?.left ?? 0);
  }

  /** It ends as soon as it is up, and is not waited for longer than a drain would be. */
  #endBeforeStart(reason: StopReason): void {
    if (this.#early) return;
    this.#early = reason;
    const deadline = new Deadline(this.#service.options.drain.timeout);
    this.#forgetStart = deadline.whenOver(() => {
      this.#service.options.log(`The service did not start, and ends because of ${reason}`);
      this.#service.ended(1, 0);
    });
  }

  /** After an uncaught error requests in flight get crashTimeout, in a service that stops already as well. */
  crash(error: unknown): void {
    if (this.#phase === 'starting') {
      this.#service.ended(1, 0);
      return;
    }
    const { voice, options } = this.#service;
    const { errno } = error as { errno?: unknown };
    voice.tell({
      status: `Failed: ${oneLine(error)}`,
      exitStatus: 1,
      ...(typeof errno === 'number' && errno !== 0 ? { errno: Math.abs(errno) } : {}),
    });
    this.#crashTimeout ??= options.crashTimeout;
    this.#deadline?.shorten(this.#crashTimeout);
    this.#endDelay();
    if (!this.#stopping) this.#context = { reason: 'error', error };
    this.end('error');
  }

  close(): Promise<void> {
    this.#closed ||= this.#service.listening.every(({ origin }) => sourceOf(origin) === 'bound');
    return this.#stop({ reason: 'close' }, 0);
  }

  #stop(context: Omit<StopContext, 'deadline'>, delay: number): Promise<void> {
    if (!this.#stopping) {
      if (this.#context.reason !== 'error') this.#context = context;
      const abandoned = this.#service.abandonUpgrade();
      this.#stopping = this.#stopOnce(delay, abandoned);
    }
    return this.#stopping;
  }

  async #stopOnce(delay: number, abandoned: Promise<unknown>): Promise<void> {
    if (delay > 0 && !this.#draining) await this.#delay(delay);
    const failures: unknown[] = [];
    const attempt = async (what: string, work: () => unknown): Promise<void> => {
      try {
        await this.#deadline!.within(what, work(), leastHookTime);
      } catch (error) {
        failures.push(error);
      }
    };
    await this.drain().catch((error: unknown) => failures.push(error));
    const { onStop, log } = this.#service.options;
    if (onStop) {
      const left = Math.max(leastHookTime, this.#deadline!.left);
      await attempt('onStop', () => onStop({ ...this.#context, deadline: Date.now() + left }));
    }
    await attempt('The end of the successor', () => abandoned);
    // A manager that waits for the main process alone would end the other one in the middle of a request.
    await this.#deadline!.within('The process before', this.#service.predecessorGone()).catch(() => {});
    this.#phase = 'stopped';
    this.#carrier?.close();
    this.#endTelling();
    this.#service.release();
    for (const failure of failures.slice(1)) log('The service did not end cleanly:', failure);
    if (failures.length > 0) throw failures[0];
  }

  /** Goes on as before, but not ready; a drain() that the program asks for meanwhile ends it. */
  async #delay(milliseconds: number): Promise<void> {
    this.#phase = 'told';
    const { voice } = this.#service;
    const left = (): number => Infinity;
    const told = voice.tellStopping(left, () => `Not ready, draining soon, ${this.#service.stats.active} connections`);
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#endDelay = resolve;
      timer = setTimeout(resolve, milliseconds);
    });
    clearTimeout(timer);
    told();
  }

  drain(): Promise<DrainResult> {
    this.#endDelay();
    this.#draining ??= this.#drainAll().finally(() => {
      if (!this.#stopping) this.#endTelling();
    });
    return this.#draining;
  }

  #drainTimes(): DrainTimes {
    if (this.#crashTimeout !== null) return { timeout: this.#crashTimeout, grace: crashGrace };
    const { drain: times } = this.#service.options;
    if (this.#context.reason === 'idle') return { grace: idleExitGrace, ...times };
    return this.#closed ? { grace: closeGrace, ...times } : times;
  }

  async #drainAll(): Promise<DrainResult> {
    const options = this.#drainTimes();
    this.#phase = 'draining';
    const started = performance.now();
    const why = this.#context.reason;
    this.#abort.abort(new ListenFdsError('LISTENFDS_STOPPING', `The service is stopping (${why})`, { cause: why }));
    const deadline = (this.#deadline = new Deadline(options.timeout));
    // Two hooks may come after it.
    const left = (): number => deadline.leftWith(2 * leastHookTime);
    const { apps, voice } = this.#service;
    this.#endTelling = voice.tellStopping(left, () => `Draining, ${this.#service.stats.active} connections left`);
    const carrier = (this.#carrier = await this.#service.openCarrier(why, deadline.left));
    const results = await Promise.allSettled(
      apps.map((adapted) => this.#drainApp(adapted, options, deadline, carrier)),
    );
    await this.#finishWork(deadline);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    const sum = (key: 'completed' | 'closedIdle' | 'moved' | 'destroyed'): number =>
      results.reduce((all, one) => all + (one as PromiseFulfilledResult<DrainResult>).value[key], 0);
    return {
      completed: sum('completed'),
      closedIdle: sum('closedIdle'),
      moved: sum('moved'),
      destroyed: sum('destroyed'),
      durationMs: performance.now() - started,
    };
  }

  /**
   * A framework's pre-close hooks run at the beginning. Its close hooks run once nothing else is left, not after the deadline:
   * some end WebSockets only then.
   */
  async #drainApp(
    adapted: AdaptedApp,
    options: DrainTimes,
    deadline: Deadline,
    carrier: Carrier | null,
  ): Promise<DrainResult> {
    let closed: Promise<void> | undefined;
    let hooks = Promise.resolve();
    const closeOnce = async (): Promise<void> => {
      await hooks.catch(() => {}); // reported below
      await adapted.close();
    };
    const close = (): Promise<void> => (closed ??= deadline.within('The close hooks', closeOnce(), leastHookTime));
    const onlyOthersLeft = (): void => void close().catch(() => {}); // reported below
    const endOthers = this.#context.reason === 'idle';
    const closing = (): void => {
      hooks = deadline.within('The pre-close hooks', adapted.beforeClose(), leastHookTime);
      hooks.catch(() => {}); // reported below
    };
    const moves = canMove(adapted.server);
    const drained = drain(adapted.server, options, {
      deadline,
      carrier,
      closing,
      arrived: moves ? this.#service.predecessorGone() : null,
      onlyOthersLeft,
      ...(carrier === null && moves ? { onlyIdleLeft: (connections: number) => this.#waitsForIdle(connections) } : {}),
      endOthers,
    });
    await Promise.allSettled([drained]);
    // One that fails does not end the wait for another.
    const [result, ...ends] = await Promise.allSettled([drained, hooks, close()]);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  }

  /** Once, and only if there is a manager that could keep them. */
  #waitsForIdle(connections: number): void {
    const { reason } = this.#context;
    if (this.#waitTold || !process.env['NOTIFY_SOCKET'] || !isStopSignal(reason)) return;
    this.#waitTold = true;
    const what =
      `The stop waits for ${connections} idle connections and nothing else. ` +
      'FileDescriptorStoreMax=16 in the [Service] section of the unit lets them stay open over a restart';
    this.#service.options.log(what);
    this.#service.voice.tell({ status: what });
  }

  async #finishWork(deadline: Deadline): Promise<void> {
    const { busySet: busy } = this.#service;
    while (busy.size > 0 && deadline.left > 0) {
      await deadline.within('Background work', Promise.allSettled(busy)).catch(() => {});
    }
    if (busy.size > 0) this.#service.options.log(`The service ends with background work unfinished: ${busy.size}`);
  }
}
