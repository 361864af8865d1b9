// The signals and uncaught errors that a service handles, from its start to its end.
import type { OwnOptions } from './options.js';

/** What is done about them. */
export interface SignalActions {
  stop(signal: 'SIGTERM' | 'SIGINT'): void;
  upgrade(): void;
  reload(): void;
  crash(error: unknown): void;
}

export class Signals {
  readonly #handlers: [event: string, handler: (...args: never[]) => void][] = [];

  constructor(options: OwnOptions, actions: SignalActions) {
    for (const signal of options.signals) this.#on(signal, () => actions.stop(signal));
    const upgradesBy = options.upgrade?.signal;
    if (upgradesBy) this.#on(upgradesBy, () => actions.upgrade());
    // By hand and without a hook, SIGHUP means that the terminal is gone.
    if (upgradesBy !== 'SIGHUP' && (options.onReload || process.env['NOTIFY_SOCKET'])) {
      this.#on('SIGHUP', () => actions.reload());
    }
    if (options.exit) this.#on('uncaughtException', (error: unknown) => actions.crash(error));
  }

  #on(event: string, handler: (...args: never[]) => void): void {
    this.#handlers.push([event, handler]);
    process.on(event, handler as () => void);
  }

  release(): void {
    for (const [event, handler] of this.#handlers.splice(0)) process.off(event, handler as () => void);
  }

  /** Does what the signal would have done without us. */
  raise(signal: NodeJS.Signals): void {
    this.release();
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }
}
