// The messages to the service manager about a service. It never fails: a manager that does not listen must not end a service
// that works.
import type { ConnectionStats } from '../admit/gate.js';
import { announce, isAnnouncing } from '../manager/announce.js';
import { keepStopping } from '../manager/keep-stopping.js';
import { notify } from '../manager/notify.js';
import { speaks } from '../manager/spoken.js';
import { tellPrimary } from '../manager/through-primary.js';
import { type NotifyState, decorate } from '../text/notify-state.js';

export const oneLine = (error: unknown): string =>
  String((error as Error)?.message ?? error).replaceAll(/[\n\r\0]+/g, ' ');

let silent = false;

/** After an upgrade the manager listens to the successor only. */
export function fallSilent(): void {
  silent = true;
}

export class Voice {
  /** The reason why the last reload or upgrade failed. It stays in the status until one succeeds. */
  failure: string | null = null;
  #warned = false;
  #sayStopping: () => void = () => {};

  constructor() {
    speaks('state');
  }

  tell(state: NotifyState): void {
    if (silent || this.#tellPrimary(state)) return;
    const said = decorate(state);
    if (state.ready || state.reloading || state.stopping || state.exitStatus !== undefined) {
      announce(said).catch((error: unknown) => this.#failed(error));
    } else if (!isAnnouncing()) this.#mention(said);
  }

  /** @returns whether this is a cluster worker, whose primary speaks to the manager */
  #tellPrimary({ ready, stopping, extendTimeout }: NotifyState): boolean {
    return tellPrimary({ ...(ready ? { ready } : {}), ...(stopping ? { stopping, extendTimeout } : {}) });
  }

  /** Counts come again: if there is no room for them, they are not worth the wait. */
  #mention(state: NotifyState): void {
    try {
      notify(state);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    process.emitWarning(`The service manager cannot be told about this service: ${oneLine(error)}`, 'ListenFdsWarning');
  }

  tellStatus(counts: string, { active, accepted, refused }: ConnectionStats): void {
    if (tellPrimary({ counts: { active, accepted, refused } })) return;
    this.tell({ status: this.failure === null ? counts : `${this.failure} (${counts})` });
  }

  /**
   * Says STOPPING=1 and asks for more time, again and again.
   *
   * @param left how many milliseconds the stop may still take: no more time than that is asked for
   * @returns stops saying it
   */
  tellStopping(left: () => number, status?: () => string): () => void {
    const { again, end } = keepStopping(left, (state) =>
      this.tell({ ...state, ...(status ? { status: status() } : {}) }),
    );
    this.#sayStopping = again;
    return () => {
      end();
      this.#sayStopping = () => {};
    };
  }

  /** It speaks to the manager from now on: if it is stopping, that has not been heard there. */
  meetManager(): void {
    this.#sayStopping();
  }
}
