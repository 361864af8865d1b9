// The manager's watchdog, sd_watchdog_enabled(3).
import { parseInteger } from './environment.js';
import { ListenFdsError } from './errors.js';

/** Options of {@link watchdogEnabled}. */
export interface WatchdogOptions {
  /**
   * Where WATCHDOG_USEC and WATCHDOG_PID are read.
   * @default process.env
   */
  env?: NodeJS.ProcessEnv | undefined;
  /**
   * The process that asks.
   * @default process.pid
   */
  pid?: number | undefined;
}

const infinity = 2n ** 64n - 1n;

function malformed(variable: 'WATCHDOG_USEC' | 'WATCHDOG_PID', value: string, expected: string): ListenFdsError {
  return new ListenFdsError('LISTENFDS_BAD_ENVIRONMENT', `${variable}=${JSON.stringify(value)} is not ${expected}`, {
    variable,
  });
}

/**
 * The watchdog timeout (WatchdogSec=) in ms, or null where the manager expects no sign of life from this process:
 * WATCHDOG_USEC is absent or meant for another WATCHDOG_PID. Send `notify({ watchdog: true })` twice in that time.
 *
 * @throws ListenFdsError LISTENFDS_BAD_ENVIRONMENT, with the variable
 */
export function watchdogEnabled(options: WatchdogOptions = {}): number | null {
  const { env = process.env, pid = process.pid } = options;
  const usecText = env['WATCHDOG_USEC'];
  if (usecText === undefined) return null;
  const usec = parseInteger(usecText);
  if (usec === null || usec <= 0n || usec >= infinity) {
    throw malformed('WATCHDOG_USEC', usecText, 'a number of microseconds');
  }
  const pidText = env['WATCHDOG_PID'];
  if (pidText !== undefined) {
    const meantFor = parseInteger(pidText);
    if (meantFor === null || meantFor < 1n || meantFor > 2n ** 31n - 1n) {
      throw malformed('WATCHDOG_PID', pidText, 'a process id');
    }
    if (meantFor !== BigInt(pid)) return null;
  }
  return Number(usec) / 1000;
}
