// Messages that have to reach the manager: repeated in the background until its full queue has room. Order
// is kept: READY=1 never overtakes the RELOADING=1 before it.
import { binding, systemError } from '../system/addon.js';
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
  readonly state: NotifyState | string;
  readonly options: NotifyOptions;
  settle(result: boolean, error?: unknown): void;
}

const waiting: Announcement[] = [];
let timer: NodeJS.Timeout | undefined;
let pause = firstPause;

/** Whose queue it is about. */
const managerOf = ({ env = process.env }: NotifyOptions): string => env['NOTIFY_SOCKET'] ?? '';

/** False if there is no room for it yet. */
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
  const full = new Set<string>();
  for (const announcement of waiting.slice()) {
    const manager = managerOf(announcement.options);
    if (full.has(manager)) continue;
    if (attempt(announcement)) pause = firstPause;
    else full.add(manager);
  }
  if (waiting.length === 0) return;
  timer = setTimeout(goOn, pause).unref();
  pause = Math.min(pause * 2, longestPause);
}

/** Whether something waits for room: decoration is not worth standing in that line. */
export const isAnnouncing = (): boolean => waiting.length > 0;

/** Copies of the descriptors: until they are sent, theirs may be closed and their numbers be others'. */
function copies(fds: readonly number[]): number[] {
  const made: number[] = [];
  for (const fd of fds) {
    const copy = binding().duplicate(fd);
    if (copy < 0) {
      close(made);
      throw systemError(copy, 'fcntl', `F_DUPFD_CLOEXEC ${fd}`);
    }
    made.push(copy);
  }
  return made;
}

function close(fds: readonly number[]): void {
  for (const fd of fds) binding().closeFd(fd);
}

/**
 * Says it at once if there is room, else as soon as there is. Resolves as notify() returns; rejects with what it throws,
 * and after `timeout` ms. A timeout that is not over keeps the process alive.
 *
 * @param withdrawn a message that waits for room is not sent any more, and rejects with the reason
 * @throws ListenFdsError LISTENFDS_TIMEOUT
 */
export function announce(
  state: NotifyState | string,
  options: NotifyOptions = {},
  timeout = Infinity,
  withdrawn?: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const settle = (result: boolean, error?: unknown): void => {
      if (error === undefined) resolve(result);
      else reject(error as Error);
    };
    const manager = managerOf(options);
    const isFirst = !waiting.some((one) => managerOf(one.options) === manager);
    if (isFirst && attempt({ state, options, settle })) return;
    const fds = copies(options.fds ?? []);
    let late: NodeJS.Timeout | undefined;
    const withdraw = (): void => later.settle(false, withdrawn!.reason);
    const later: Announcement = {
      state,
      options: { ...options, fds },
      settle(result, error) {
        clearTimeout(late);
        withdrawn?.removeEventListener('abort', withdraw);
        waiting.splice(waiting.indexOf(later), 1);
        close(fds);
        settle(result, error);
      },
    };
    waiting.push(later);
    withdrawn?.addEventListener('abort', withdraw);
    timer ??= setTimeout(goOn, pause).unref();
    if (timeout === Infinity) return;
    late = setTimeout(() => {
      const found = `The service manager's queue has had no room for ${timeout} ms: it does not read NOTIFY_SOCKET`;
      later.settle(false, new ListenFdsError('LISTENFDS_TIMEOUT', found));
    }, timeout);
  });
}
