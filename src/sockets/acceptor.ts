// Accepting connections that net.Server does not know how to: one loop for every family.
import { describeFacts } from '../receive/descriptor.js';
import { binding, systemError } from '../system/addon.js';
import { EAGAIN, ECONNABORTED, EPROTO, isShortage } from '../system/errnos.js';
import { Watcher, idle, readable } from '../system/watcher.js';
import { formatAddress } from '../text/address.js';

export interface AcceptorHandlers {
  /** Owns the descriptor from the moment it is called. */
  accepted(fd: number, peer: string | null): void;
  failed(error: Error): void;
  closed(): void;
}

/** Connections accepted in one turn of the event loop, before others get theirs. */
const mostAtOnce = 64;

/** Pause, in ms, if descriptors or memory have run out. */
const shortagePause = 50;

export class Acceptor {
  readonly #watcher: Watcher;
  readonly #handlers: AcceptorHandlers;
  #pause: NodeJS.Timeout | null = null;

  /** @throws if the descriptor cannot be waited for; it is the caller's then */
  constructor(fd: number, handlers: AcceptorHandlers) {
    this.#handlers = handlers;
    this.#watcher = new Watcher(fd, () => this.#accept());
    this.#watcher.want(readable);
  }

  get open(): boolean {
    return this.#watcher.open;
  }

  #accept(): void {
    for (let i = 0; i < mostAtOnce && this.#watcher.open; i++) {
      const fd = binding().acceptSocket(this.#watcher.fd);
      if (fd >= 0) {
        this.#hand(fd);
        continue;
      }
      if (fd === EAGAIN) return;
      // accept(2): the connection was gone before it was accepted; the next may not be.
      if (fd === ECONNABORTED || fd === EPROTO) continue;
      this.#rest();
      if (!isShortage(fd)) this.#handlers.failed(systemError(fd, 'accept', `fd ${this.#watcher.fd}`));
      return;
    }
  }

  #hand(fd: number): void {
    const facts = binding().facts(fd);
    const peer = typeof facts === 'number' ? null : describeFacts(facts).peer;
    this.#handlers.accepted(fd, typeof peer === 'object' && peer !== null ? formatAddress(peer) : peer);
  }

  /**
   * Without a descriptor to spare a connection stays where it is, in the kernel's queue: libuv's trick of accepting and
   * closing it would lose a request that can be served a moment later.
   */
  #rest(): void {
    this.#watcher.want(idle);
    this.#pause ??= setTimeout(() => this.freed(), shortagePause).unref();
  }

  /** A descriptor was given back. */
  freed(): void {
    if (!this.#pause) return;
    clearTimeout(this.#pause);
    this.#pause = null;
    if (this.open) this.#watcher.want(readable);
  }

  ref(on: boolean): void {
    this.#watcher.ref(on);
  }

  /** Never shutdown(2): that would end the manager's copy, too. */
  close(): void {
    if (!this.open) return;
    if (this.#pause) clearTimeout(this.#pause);
    this.#watcher.close();
    this.#handlers.closed();
  }
}
