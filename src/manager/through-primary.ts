// A cluster worker speaks to its primary, which is the service to the manager. A manager hears the main
// process alone (NotifyAccess=main), and one that hears all would take the end of a worker for that of the service.
import { isClusterWorker } from '../system/process-role.js';
import type { NotifyState } from '../text/notify-state.js';

/** Messages whose cmd begins with NODE_ are not shown to the program. */
export const workerSays = 'NODE_LISTENFDS_SAYS';
export const primaryHears = 'NODE_LISTENFDS_HEARS';

/** The message of a worker. */
export interface Said {
  /** It serves. */
  readonly ready?: true;
  /** It has begun to drain. */
  readonly stopping?: true;
  /** How much more time its stop may take, as it would be said to a manager. Milliseconds. */
  readonly extendTimeout?: NotifyState['extendTimeout'];
  /** Its watchdog's sign of life. */
  readonly alive?: true;
  readonly counts?: { readonly active: number; readonly accepted: number; readonly refused: number };
}

/** A primary that knows this package answers at once. Milliseconds. */
const answerTime = 2_000;

let asked = false;

function warnUnlessHeard(): void {
  asked = true;
  // The preload in the primary speaks for it without being told.
  if (!process.env['NOTIFY_SOCKET'] || process.env['LISTENFDS_PRIMARY'] !== undefined) return;
  const timer = setTimeout(() => {
    process.off('internalMessage' as 'message', hear);
    process.emitWarning(
      'The service manager is not told about this cluster worker: its primary has to call listenFds(), which speaks for all workers',
      'ListenFdsWarning',
    );
  }, answerTime).unref();
  const hear = (message: unknown): void => {
    if ((message as { cmd?: string }).cmd !== primaryHears) return;
    process.off('internalMessage' as 'message', hear);
    clearTimeout(timer);
  };
  process.on('internalMessage' as 'message', hear);
}

/** @returns whether this is a worker, which speaks to its primary only */
export function tellPrimary(said: Said): boolean {
  if (!isClusterWorker()) return false;
  if (!asked) warnUnlessHeard();
  process.send!({ cmd: workerSays, ...said }, undefined, {}, () => {}); // it may be gone
  return true;
}
