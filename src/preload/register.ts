// The preload: `node --require listenfds/register app.js` lets a program that knows nothing of socket activation use the
// sockets it was passed. This file runs at every start of every program it is preloaded into, children included, so it
// only finds out whether anything was passed; src/lend/ does the rest.
const { env } = process;

/**
 * Whether fd 0 may be a listening socket, as StandardInput=socket passes it. A child's stdin is often a connected one;
 * the kernel's tables tell the two apart, except for a socket of another network namespace.
 */
function maybeListeningStdin(): boolean {
  const fs = process.getBuiltinModule('node:fs');
  try {
    const stats = fs.fstatSync(0);
    if (!stats.isSocket()) return false;
    // /proc/net/unix: Num RefCount Protocol Flags Type St Inode Path; __SO_ACCEPTCON is flag 0x10000.
    const line = new RegExp(`^\\S+ \\S+ \\S+ (\\S+) \\S+ \\S+ +${stats.ino}(?: |$)`, 'm').exec(
      fs.readFileSync('/proc/self/net/unix', 'latin1'),
    );
    return line === null || line[1] === '00010000';
  } catch {
    return false; // closed, or no Linux
  }
}

/** A cluster worker whose primary was passed something: its servers listen through that one. */
function isWorkerOfActivated(): boolean {
  return process.connected === true && (env['LISTENFDS_PRIMARY']?.startsWith(`{"pid":${process.ppid},`) ?? false);
}

const isWorkerThread = (process.chdir as { disabled?: boolean }).disabled === true;

if (
  !isWorkerThread &&
  (env['LISTEN_FDS'] || env['LISTENFDS'] === 'required' || isWorkerOfActivated() || maybeListeningStdin())
) {
  // Must be done before the program's first line, and without top-level await, which require() could not load.
  const { createRequire } = process.getBuiltinModule('node:module');
  (createRequire(import.meta.url)('./preload.cjs') as typeof import('./preload.js')).preload();
}

export {};
