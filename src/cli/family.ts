// Every process that comes of the command: its main process, those that have handed over, a successor that is being started,
// and whatever they start. As a subreaper we get them all when their parents end.
import { descendantsOf } from './proc.js';

/** A process that has handed over may answer its last requests for so long; serve() allows itself less. Milliseconds. */
const longestLeave = 90_000;

/** So often it is looked whether everybody has left: that a grandchild ends is told to nobody. Milliseconds. */
const lookInterval = 200;

export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has just ended.
  }
}

export class Family {
  /** Those that are let be, with all that comes of them: processes that have handed over and still answer their last requests. */
  readonly leaving = new Set<number>();
  readonly #patience: number;
  readonly #timers = new Set<NodeJS.Timeout>();
  #looking: NodeJS.Timeout | undefined;
  #gone: (() => void) | null = null;
  #last = 0;

  /** @param patience milliseconds from SIGTERM to SIGKILL */
  constructor(patience: number) {
    this.#patience = patience;
  }

  members(): number[] {
    return descendantsOf(process.pid);
  }

  has(pid: number): boolean {
    return this.members().includes(pid);
  }

  #later(milliseconds: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, milliseconds);
    this.#timers.add(timer);
  }

  /**
   * Ends the processes that the command has left behind, as a service manager does: a successor whose old process was killed would keep
   * the sockets for itself. Those that are let be are not told.
   *
   * @param isSpared whether one of them is not meant
   */
  dismiss(isSpared: (pid: number) => boolean = () => false): void {
    const rest = descendantsOf(process.pid, this.leaving).filter((pid) => !isSpared(pid));
    for (const pid of rest) sendSignal(pid, 'SIGTERM');
    if (rest.length === 0) return;
    this.#later(this.#patience, () => {
      const still = new Set(this.members());
      for (const pid of rest) if (still.has(pid)) sendSignal(pid, 'SIGKILL');
    });
  }

  /** Calls back once nobody is left. @returns those who are there now */
  whenGone(gone: () => void): number[] {
    this.dismiss();
    this.#gone = gone;
    this.#last = performance.now() + longestLeave;
    const now = this.members();
    this.look();
    return now;
  }

  /** Somebody has ended. */
  look(): void {
    if (!this.#gone) return;
    const members = this.members();
    if (members.length === 0) {
      for (const timer of [this.#looking, ...this.#timers]) clearTimeout(timer);
      const gone = this.#gone;
      this.#gone = null;
      gone();
      return;
    }
    if (performance.now() >= this.#last) this.kill();
    clearTimeout(this.#looking);
    this.#looking = setTimeout(() => this.look(), lookInterval);
  }

  kill(): void {
    for (const pid of this.members()) sendSignal(pid, 'SIGKILL');
  }
}
