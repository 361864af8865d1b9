// Which tests run on arm64 under qemu, and what qemu-user cannot do: it translates system calls, and knows not all of them.

/** The files that call the addon; the others are the same JavaScript on every CPU. */
export const emulated = [
  'accept-yes',
  'authorize',
  'bind',
  'bind-abstract',
  'datagram',
  'describe',
  'fifo',
  'inherited',
  'listen',
  'listen-adopted',
  'message-queue',
  'netlink',
  'notify',
  'notify-barrier',
  'notify-vsock',
  'peer',
  'predicates',
  'sequential-packet',
  'spawn',
  'special',
  'stdin',
  'vsock',
  'watchdog',
].map((name) => `test/${name}.test.ts`);

/** File → start of the name of a test → what qemu does not do. */
const limits = {};

/**
 * @param {string} file
 * @param {string} test
 * @returns {string | null} why it cannot pass under the emulator
 */
export function underEmulator(file, test) {
  const known = Object.entries(limits[file] ?? {}).find(([start]) => test.startsWith(start));
  return known ? known[1] : null;
}
