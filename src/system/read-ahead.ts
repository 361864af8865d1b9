// The files of a drain or an upgrade are read before they are needed: an update of the program may replace or remove the files
// before it restarts it.

// By then, it is hoped, the first request has its answer. Milliseconds.
const delay = 1000;

const needed: (() => Promise<unknown>)[] = [];

/** Names the files that a program that listens will need. */
export function willNeed(read: () => Promise<unknown>): void {
  needed.push(read);
}

/** Reads it, once, soon after this. */
export function readAhead(): void {
  for (const read of needed.splice(0)) setTimeout(() => void read().catch(() => {}), delay).unref();
}
