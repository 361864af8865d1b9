// Speaking to the manager for a program that only calls listen(). Under Type=notify nobody else would say READY=1, and the
// manager would kill it when its start timeout is over, again and again. A program that speaks for itself is left alone.
import { startWatchdog } from './watchdog.js';
import { hasSpoken, speaks } from './spoken.js';
import { tellPrimary } from './through-primary.js';
import { announce } from './announce.js';

/** A program that has more to do after listen() has so long to say something itself. Milliseconds. */
const courtesy = 1_000;

let timer: NodeJS.Timeout | undefined;

/**
 * To be called when a listen() is done: says READY=1 a moment later, and pings the watchdog from then on.
 *
 * @param isReady whether nothing is left that was passed and that nobody listens on
 */
export function speakFor(isReady: () => boolean): void {
  const { NOTIFY_SOCKET: manager, LISTENFDS_UPGRADE: isSuccessor } = process.env;
  if (!manager || isSuccessor || timer || hasSpoken('state')) return;
  timer = setTimeout(() => {
    timer = undefined;
    if (hasSpoken('state') || !isReady()) return;
    if (tellPrimary({ ready: true })) speaks('state');
    else announce({ ready: true }).catch(() => {}); // a manager that does not listen must not end a program that works
    if (!hasSpoken('watchdog')) startWatchdog();
  }, courtesy).unref();
}
