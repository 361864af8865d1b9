// A connection that the command does not accept: most often it listens on another port, or a launcher in front of it has closed
// the socket. Clients hang then, and nothing else would say why.
import { describe } from '../receive/descriptor.js';
import type { Launcher } from '../text/launchers.js';
import type { OpenSocket } from './open.js';
import { awaitedInodes } from './proc.js';

/** When it is looked after a start, a few times and never again: a quiet command stays quiet. Milliseconds. */
const looks = [4_000, 14_000, 59_000];

/** A queue that is seen twice, so long apart, is one that does not move. Milliseconds. */
const between = 1_000;

export interface UnacceptedOptions {
  readonly sockets: readonly OpenSocket[];
  readonly launcher: Launcher | null;
  /** Every process of the command. */
  readonly members: () => readonly number[];
  readonly say: (line: string) => void;
}

export class Unaccepted {
  readonly #options: UnacceptedOptions;
  #timers: NodeJS.Timeout[] = [];

  constructor(options: UnacceptedOptions) {
    this.#options = options;
  }

  started(): void {
    this.ended();
    this.#timers = looks.map((time) => setTimeout(() => this.#look(), time).unref());
  }

  ended(): void {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
  }

  #look(): void {
    const waiting = this.#queues();
    if (waiting.size > 0) this.#timers.push(setTimeout(() => this.#tell(waiting), between).unref());
  }

  #queues(): Map<OpenSocket, number> {
    const found = new Map<OpenSocket, number>();
    for (const socket of this.#options.sockets) {
      const queued = socket.listening ? describe(socket.fd).queued : 0;
      if (queued) found.set(socket, queued);
    }
    return found;
  }

  #tell(before: ReadonlyMap<OpenSocket, number>): void {
    for (const [socket, queued] of this.#queues()) {
      if (queued < (before.get(socket) ?? Infinity)) continue; // it moves
      this.ended(); // once is enough
      const many = queued === 1 ? 'a connection waits' : `${queued} connections wait`;
      this.#options.say(`${many} at ${socket.address}: ${this.#why(socket)}`);
    }
  }

  #why({ fd }: OpenSocket): string {
    const { launcher, members } = this.#options;
    const pids = members();
    const listener = pids.find((pid) => awaitedInodes(pid)?.has(describe(fd).inode.number));
    if (listener !== undefined) return `pid ${listener} listens there and accepts nothing`;
    if (launcher) return `nobody listens there. ${launcher.name} is in front of the program: ${launcher.instead}`;
    return `nobody listens there. Does the program listen elsewhere? listenfds inspect ${pids[0] ?? 'PID'} shows it`;
  }
}
