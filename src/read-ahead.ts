// What a drain or an upgrade takes is read before it is needed: an update of the program may replace or remove the files
// before it restarts it.

// By then, it is hoped, the first request has its answer. Milliseconds.
const delay = 1000;

export function readAhead(read: () => Promise<unknown>): void {
  setTimeout(() => void read().catch(() => {}), delay).unref();
}
