// A descriptor on the event loop: the events waited for, in one number. Owns the descriptor.
import { type NativePoll, binding, systemError } from './addon.js';
import { ENOSYS } from './errnos.js';
import { ListenFdsError } from './errors.js';

export const readable = 1;
export const writable = 2;

/** UV_PRIORITIZED never fires on these descriptors; polling for it only keeps the process alive. */
export const idle = 8;
const pending = 128;

/** Milliseconds. */
const restTime = 20;

function unsupported(found: string): ListenFdsError {
  return new ListenFdsError(
    'LISTENFDS_UNSUPPORTED',
    `${found}, so nothing but TCP, UDP and unix streams can be waited for`,
  );
}

export class Watcher {
  readonly fd: number;
  readonly #poll: NativePoll;
  #wanted = 0;
  /** The events that the kernel has been told. */
  #armed = 0;
  #open = true;
  #resting: NodeJS.Timeout | null = null;

  /** @throws an Error with code EPERM if the descriptor cannot be waited for, as a regular file; it stays open then */
  constructor(fd: number, onReady: (events: number) => void) {
    // Its event loop is not libuv's. The functions are there all the same, and end the process when they are called.
    if (process.versions['bun'] !== undefined) throw unsupported('Bun has no event loop of libuv');
    const poll = binding().createPoll(fd, (events) => {
      // An error is pending: libuv has stopped. The next system call says which, and takes it away.
      if (events & pending) this.#armed = 0;
      const ready = events & (readable | writable);
      if (ready === 0) {
        // Nobody wants to read or write, so nobody would take the error, or the hang-up, away: it would come for ever.
        this.#armed = 0;
        binding().startPoll(this.#poll, 0);
        return;
      }
      try {
        onReady(ready);
      } finally {
        this.#arm();
      }
    });
    if (poll === ENOSYS) throw unsupported('This runtime has no event loop of libuv');
    if (typeof poll === 'number') throw systemError(poll, 'epoll_ctl', `fd ${fd}`);
    this.fd = fd;
    this.#poll = poll;
  }

  want(events: number): void {
    this.#wanted = events;
    this.#arm();
  }

  /** Tells of nothing to read for a moment. */
  rest(): void {
    this.#resting ??= setTimeout(() => {
      this.#resting = null;
      this.#arm();
    }, restTime).unref();
    this.#arm();
  }

  #arm(): void {
    const wanted = this.#resting ? this.#wanted & ~readable || idle : this.#wanted;
    if (!this.#open || this.#armed === wanted) return;
    this.#armed = wanted;
    binding().startPoll(this.#poll, wanted);
  }

  ref(on: boolean): void {
    binding().refPoll(this.#poll, on);
  }

  get open(): boolean {
    return this.#open;
  }

  /** Closes the descriptor; a unix socket in another thread, since descriptors in its queue may close slowly. */
  close(): void {
    this.#open = false;
    if (this.#resting) clearTimeout(this.#resting);
    binding().closePoll(this.#poll);
  }
}
