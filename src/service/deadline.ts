// The one deadline of a stop. On the monotonic clock: the wall clock may be set while a service stops.
import { ListenFdsError } from '../system/errors.js';

/** At an idle exit nothing has been heard from any connection for long: a request is hardly on its way. Milliseconds. */
export const idleExitGrace = 1_000;

/**
 * After close() of a service that bound its own sockets, as in tests, the client of an idle connection finds nobody any more: only a
 * request that is on its way is waited for. Milliseconds.
 */
export const closeGrace = 100;

/** After an uncaught error a request that is on its way is waited for this long, within crashTimeout. Milliseconds. */
export const crashGrace = 500;

interface Waiting {
  readonly callback: () => void;
  /** It is not called before that, whatever the deadline says. */
  readonly notBefore: number;
  timer: NodeJS.Timeout;
}

export class Deadline {
  #at: number;
  readonly #waiting = new Set<Waiting>();

  /** @param milliseconds from now */
  constructor(milliseconds: number) {
    this.#at = performance.now() + milliseconds;
  }

  /** Milliseconds until then; 0 when it has passed. */
  get left(): number {
    return Math.max(0, this.#at - performance.now());
  }

  /** The same if there is some more time behind it. */
  leftWith(more: number): number {
    return Math.max(0, this.#at + more - performance.now());
  }

  /** Brings it forward, so that it is at most this far away. */
  shorten(milliseconds: number): void {
    this.#at = Math.min(this.#at, performance.now() + milliseconds);
    for (const waiting of this.#waiting) {
      clearTimeout(waiting.timer);
      waiting.timer = this.#arm(waiting);
    }
  }

  #arm({ callback, notBefore }: Omit<Waiting, 'timer'>): NodeJS.Timeout {
    return setTimeout(callback, Math.max(0, Math.max(this.#at, notBefore) - performance.now()));
  }

  /**
   * Calls back when it has passed.
   *
   * @param least milliseconds that there are in any case
   * @returns forgets the callback
   */
  whenOver(callback: () => void, least = 0): () => void {
    const plan = { callback, notBefore: performance.now() + least };
    const waiting = { ...plan, timer: this.#arm(plan) };
    this.#waiting.add(waiting);
    return () => {
      clearTimeout(waiting.timer);
      this.#waiting.delete(waiting);
    };
  }

  /**
   * Resolves as `work` does.
   *
   * @param what names it in the error
   * @param least milliseconds that it has in any case
   * @throws ListenFdsError LISTENFDS_TIMEOUT when the deadline passes before
   */
  async within<T>(what: string, work: T | Promise<T>, least = 0): Promise<T> {
    const started = performance.now();
    let forget: () => void = () => {};
    const late = new Promise<never>((_, reject) => {
      const over = (): void => {
        const waited = Math.ceil(performance.now() - started);
        reject(new ListenFdsError('LISTENFDS_TIMEOUT', `${what} did not finish within ${waited} ms`));
      };
      forget = this.whenOver(over, least);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      forget();
    }
  }
}
