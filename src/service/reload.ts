// Reloads: one at a time. Signals that come while one runs ask for one more.
import { Deadline } from './deadline.js';
import type { OwnOptions } from './options.js';
import { type Voice, oneLine } from './voice.js';

/** A reload that takes longer has failed: a manager must not see it as going on for ever. Milliseconds. */
const longestReload = 60_000;

export class Reloads {
  readonly #options: Pick<OwnOptions, 'onReload' | 'log'>;
  readonly #voice: Voice;
  readonly #counts: () => string;
  #running = false;
  #again = false;

  constructor(options: Pick<OwnOptions, 'onReload' | 'log'>, voice: Voice, counts: () => string) {
    this.#options = options;
    this.#voice = voice;
    this.#counts = counts;
  }

  /** @param serves whether the service still wants it */
  async request(serves: () => boolean): Promise<void> {
    if (!serves()) return;
    this.#again = this.#running;
    if (this.#running) return;
    this.#running = true;
    do {
      this.#again = false;
      await this.#once(serves);
    } while (this.#again && serves());
    this.#running = false;
  }

  async #once(serves: () => boolean): Promise<void> {
    const voice = this.#voice;
    voice.tell({ reloading: true });
    let status = this.#counts();
    try {
      await new Deadline(longestReload).within('onReload()', this.#options.onReload?.());
      voice.failure = null;
    } catch (error) {
      status = voice.failure = `Reload failed, going on as before: ${oneLine(error)}`;
      this.#options.log('Reload failed, going on as before:', error);
    }
    if (serves()) voice.tell({ ready: true, status });
  }
}
