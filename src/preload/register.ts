// The preload: `node --require listenfds/register app.js` lets a program that knows nothing of socket activation use the
// sockets it was passed. This file runs at every start of every program it is preloaded into, children included, so it
// only finds out whether anything was passed; src/lend/ does the rest.
import { isServiceStdin } from '../system/stdin.js';

const { env } = process;

/** A cluster worker whose primary was passed something: its servers listen through that one. */
function isWorkerOfActivated(): boolean {
  return process.connected === true && (env['LISTENFDS_PRIMARY']?.startsWith(`{"pid":${process.ppid},`) ?? false);
}

const isWorkerThread = (process.chdir as { disabled?: boolean }).disabled === true;

if (
  !isWorkerThread &&
  (env['LISTEN_FDS'] || env['LISTENFDS'] === 'required' || isWorkerOfActivated() || isServiceStdin() !== false)
) {
  // Must be done before the program's first line, and without top-level await, which require() could not load.
  const { createRequire } = process.getBuiltinModule('node:module');
  (createRequire(import.meta.url)('./preload.cjs') as typeof import('./preload.js')).preload();
}
