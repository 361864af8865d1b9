// What the service manager is told about a service. It never fails: a manager that does not listen must not end a service
// that works.
import { notify } from '../manager/notify.js';
import type { NotifyState } from '../text/notify-state.js';

/** How far ahead the manager's stop timeout is moved while a service stops, and how often. Milliseconds. */
const extendTimeout = 15_000;
const extendInterval = 5_000;

export const oneLine = (error: unknown): string =>
  String((error as Error)?.message ?? error).replaceAll(/[\n\r\0]+/g, ' ');

export class Voice {
  /** The reason why the last reload or upgrade failed. It stays in the status until one succeeds. */
  failure: string | null = null;
  #warned = false;
  #silent = false;

  tell(state: NotifyState): void {
    if (this.#silent) return;
    try {
      notify(state);
    } catch (error) {
      if (this.#warned) return;
      this.#warned = true;
      process.emitWarning(
        `The service manager cannot be told about this service: ${oneLine(error)}`,
        'ListenFdsWarning',
      );
    }
  }

  tellStatus(counts: string): void {
    this.tell({ status: this.failure === null ? counts : `${this.failure} (${counts})` });
  }

  /** Says STOPPING=1 and asks for more time, again and again. @returns stops saying it */
  tellStopping(status?: () => string): () => void {
    const say = (): void => this.tell({ stopping: true, extendTimeout, ...(status ? { status: status() } : {}) });
    say();
    const timer = setInterval(say, extendInterval).unref();
    return () => clearInterval(timer);
  }

  /** After an upgrade the manager listens to the successor only. */
  fallSilent(): void {
    this.#silent = true;
  }
}
