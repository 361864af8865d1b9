// What a drain or an upgrade takes is read before it is needed: an update of the program may replace or remove the files
// before it restarts it.

// By then, it is hoped, the first request has its answer. Milliseconds.
const delay = 1000;

const needed: (() => Promise<unknown>)[] = [];

/** Says what a program that listens will need. */
export function willNeed(read: () => Promise<unknown>): void {
  needed.push(read);
}

/** Reads it, once, soon after this. */
export function readAhead(): void {
  for (const read of needed.splice(0)) setTimeout(() => void read().catch(() => {}), delay).unref();
}
