// What has to reach the manager: said again, without standing in the way of anything, until its full queue has room. Order
// is kept: READY=1 never overtakes the RELOADING=1 before it.
import { EAGAIN, isShortage } from '../system/errnos.js';
import { ListenFdsError } from '../system/errors.js';
import type { NotifyState } from '../text/notify-state.js';
import { type NotifyOptions, notify } from './notify.js';

/** Between two attempts: the first time, and at most. Milliseconds. */
const firstPause = 5;
const longestPause = 100;

/** Whether the manager, or the kernel, will have room again. */
function isPassing(error: unknown): boolean {
  const { errno = 0 } = error as NodeJS.ErrnoException;
  return errno === EAGAIN || isShortage(errno);
}

interface Announcement {
  readonly state: NotifyState;
  readonly options: NotifyOptions | undefined;
  settle(result: boolean, error?: unknown): void;
}

const waiting: Announcement[] = [];
let timer: NodeJS.Timeout | undefined;
let pause = firstPause;

/** False where there is no room for it yet. */
function attempt({ state, options, settle }: Announcement): boolean {
  try {
    settle(notify(state, options));
  } catch (error) {
    if (isPassing(error)) return false;
    settle(false, error);
  }
  return true;
}

function goOn(): void {
  timer = undefined;
  while (waiting.length > 0 && attempt(waiting[0]!)) {
    waiting.shift();
    pause = firstPause;
  }
  if (waiting.length === 0) return;
  timer = setTimeout(goOn, pause).unref();
  pause = Math.min(pause * 2, longestPause);
}

/** Whether something waits for room: decoration is not worth standing in that line. */
export const isAnnouncing = (): boolean => waiting.length > 0;

/**
 * Says it at once where there is room, else as soon as there is. Resolves as notify() returns; rejects with what it throws,
 * and after `timeout` ms.
 *
 * @throws ListenFdsError LISTENFDS_TIMEOUT
 */
export function announce(state: NotifyState, options?: NotifyOptions, timeout = Infinity): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let late: NodeJS.Timeout | undefined;
    const announcement: Announcement = {
      state,
      options,
      settle(result, error) {
        clearTimeout(late);
        if (error === undefined) resolve(result);
        else reject(error as Error);
      },
    };
    if (waiting.length === 0 && attempt(announcement)) return;
    waiting.push(announcement);
    timer ??= setTimeout(goOn, pause).unref();
    if (timeout === Infinity) return;
    late = setTimeout(() => {
      waiting.splice(waiting.indexOf(announcement), 1);
      const found = `The service manager's queue has had no room for ${timeout} ms: it does not read NOTIFY_SOCKET`;
      reject(new ListenFdsError('LISTENFDS_TIMEOUT', found));
    }, timeout);
  });
}
