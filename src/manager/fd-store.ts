// The file descriptor store of a service: the manager keeps descriptors while the program restarts.
import { maxMessageFds } from '../text/notify-state.js';
import { type TableOf, badValue, boolean, readOptions } from '../text/options.js';
import { announce } from './announce.js';
import { notifyBarrier, notifyBarrierOptions } from './barrier.js';

/** Options of {@link storeFds}. */
export interface StoreFdsOptions {
  /**
   * Whether the manager drops a stored descriptor by itself when it hangs up or fails (FDPOLL=).
   * @default true
   */
  poll?: boolean | undefined;
  /**
   * How long the manager may take: milliseconds, a time span such as '5s', or Infinity.
   * @default 5000
   */
  timeout?: number | string | undefined;
}

const { timeout } = notifyBarrierOptions;

/** The options of storeFds(). */
export const storeFdsOptions = { poll: { ...boolean, default: true }, timeout } satisfies TableOf<StoreFdsOptions>;

/** The options of removeStoredFds(). */
export const removeStoredFdsOptions = { timeout } satisfies TableOf<Pick<StoreFdsOptions, 'timeout'>>;

/** The rest of a timeout that has begun; at least 1. Milliseconds. */
const left = (timeout: number, began: number): number => Math.max(1, Math.ceil(timeout - (performance.now() - began)));

/**
 * Gives copies of descriptors to the service manager, which passes them back to the next start of this service: listenFds()
 * then has them under `name`, after those of socket units. Resolves to true once the manager has them, or has decided
 * not to keep them: over FileDescriptorStoreMax=, which is 0 unless the unit says otherwise, it drops them and tells
 * nobody but its own log. From then on they may be closed here. Resolves to false if there is no manager
 * (NOTIFY_SOCKET is not set). Mirrors sd_pid_notify_with_fds(3) with FDSTORE=1.
 *
 * A name can hold several descriptors. The same one stored twice is kept once.
 *
 * @example
 * await storeFds('session-42', [fd]);
 *
 * @throws ListenFdsError LISTENFDS_BAD_OPTION for a name that is not 1 to 255 printable ASCII characters without ':', of
 * which the manager would make "stored", or an empty list; LISTENFDS_TIMEOUT if the manager's queue has no room, or the
 * manager does not answer, in that time; and what notify() throws except EAGAIN
 */
export async function storeFds(name: string, fds: readonly number[], options: StoreFdsOptions = {}): Promise<boolean> {
  const { poll, timeout } = readOptions(storeFdsOptions, options);
  if (!Array.isArray(fds)) throw badValue('fds', fds, 'an array of descriptors');
  const state = { fdStore: true, fdName: name, ...(poll ? {} : { fdPoll: false }) };
  const began = performance.now();
  let first = 0;
  do {
    const part = fds.slice(first, (first += maxMessageFds));
    if (!(await announce(state, { fds: part }, left(timeout, began)))) return false;
  } while (first < fds.length);
  return notifyBarrier({ timeout: left(timeout, began) });
}

/**
 * Makes the manager forget everything it has stored under a name. Resolves as {@link storeFds} does; a name under which
 * there is nothing is no error. Descriptors that are open here stay open.
 *
 * @throws ListenFdsError as {@link storeFds}
 */
export async function removeStoredFds(name: string, options: Pick<StoreFdsOptions, 'timeout'> = {}): Promise<boolean> {
  const { timeout } = readOptions(removeStoredFdsOptions, options);
  const began = performance.now();
  if (!(await announce({ fdStoreRemove: true, fdName: name }, {}, timeout))) return false;
  return notifyBarrier({ timeout: left(timeout, began) });
}
