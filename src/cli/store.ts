// Descriptors that a command leaves with `listenfds run` while it restarts: the file descriptor store of a service, systemd.service(5),
// FileDescriptorStoreMax=.
import { binding } from '../system/addon.js';

/** As many as a unit of `listenfds unit` has room for. */
const most = 16;

interface Stored {
  readonly fd: number;
  readonly name: string;
}

export class Store {
  #stored: Stored[] = [];

  get fds(): number[] {
    return this.#stored.map(({ fd }) => fd);
  }

  get names(): string[] {
    return this.#stored.map(({ name }) => name);
  }

  /** @param fds those that came with the message, ours from now on */
  notified(fields: ReadonlyMap<string, string>, fds: readonly number[]): void {
    const name = fields.get('FDNAME') ?? 'stored';
    const room = fields.get('FDSTORE') === '1' ? Math.max(0, most - this.#stored.length) : 0;
    for (const fd of fds.slice(0, room)) this.#stored.push({ fd, name });
    // Others are closed: that tells their sender, and is the answer to a barrier.
    for (const fd of fds.slice(room)) binding().closeElsewhere(fd);
    if (fields.get('FDSTOREREMOVE') === '1') this.#drop((one) => one.name === name);
  }

  #drop(condition: (one: Stored) => boolean): void {
    for (const one of this.#stored.filter(condition)) binding().closeElsewhere(one.fd);
    this.#stored = this.#stored.filter((one) => !condition(one));
  }

  /** No command follows that could read it. */
  clear(): void {
    this.#drop(() => true);
  }
}
