// The manager's watchdog: what it expects, sd_watchdog_enabled(3), and the signs of life that satisfy it.
import { ListenFdsError } from '../system/errors.js';
import { parseInteger } from '../text/environment.js';
import {
  type Option,
  type TableOf,
  badValue,
  callback,
  environment,
  processId,
  readOptions,
  span,
} from '../text/options.js';
import { notify } from './notify.js';
import { speaks } from './spoken.js';
import { tellPrimary } from './through-primary.js';
import { isClusterWorker } from '../system/process-role.js';

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

/** The options of watchdogEnabled(). */
export const watchdogOptions = { env: environment, pid: processId } satisfies TableOf<WatchdogOptions>;

const infinity = 2n ** 64n - 1n;

function malformed(variable: 'WATCHDOG_USEC' | 'WATCHDOG_PID', value: string, expected: string): ListenFdsError {
  return new ListenFdsError('LISTENFDS_BAD_ENVIRONMENT', `${variable}=${JSON.stringify(value)} is not ${expected}`, {
    variable,
  });
}

/**
 * The watchdog timeout (WatchdogSec=) in ms, or null if the manager expects no sign of life from this process:
 * WATCHDOG_USEC is absent or meant for another WATCHDOG_PID. Send `notify({ watchdog: true })` twice in that time.
 *
 * @throws ListenFdsError LISTENFDS_BAD_ENVIRONMENT, with the variable
 */
export function watchdogEnabled(options: WatchdogOptions = {}): number | null {
  const { env = process.env, pid = process.pid } = readOptions(watchdogOptions, options);
  const usecText = env['WATCHDOG_USEC'];
  if (!usecText) return null; // empty is how many take a variable away
  const usec = parseInteger(usecText);
  if (usec === null || usec <= 0n || usec >= infinity) {
    throw malformed('WATCHDOG_USEC', usecText, 'a number of microseconds');
  }
  const pidText = env['WATCHDOG_PID'];
  if (pidText) {
    const meantFor = parseInteger(pidText);
    if (meantFor === null || meantFor < 1n || meantFor > 2n ** 31n - 1n) {
      throw malformed('WATCHDOG_PID', pidText, 'a process id');
    }
    if (meantFor !== BigInt(pid)) return null;
  }
  return Number(usec) / 1000;
}

/** Options of {@link startWatchdog}. */
export interface StartWatchdogOptions extends WatchdogOptions {
  /**
   * Whether the service is well. No sign of life is sent while it says false, throws, rejects or has not answered; the
   * manager then acts once its timeout is over.
   * @default always
   */
  healthy?: (() => boolean | Promise<boolean>) | undefined;
  /**
   * Between two signs of life: milliseconds, or a time span such as '5s'. Less than the manager's timeout.
   * @default half of what the manager allows, as sd_watchdog_enabled(3) recommends
   */
  interval?: number | string | undefined;
}

/** The options of startWatchdog(). */
export const startWatchdogOptions = {
  ...watchdogOptions,
  healthy: callback as Option<() => boolean | Promise<boolean>>,
  interval: span(),
} satisfies TableOf<StartWatchdogOptions>;

// A full queue is no reason to miss a whole turn.
const retryPart = 10;

class Watchdog {
  readonly #healthy: () => boolean | Promise<boolean>;
  readonly #interval: number;
  readonly #env: NodeJS.ProcessEnv;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  /** The subject of the last warning: each trouble is told once, not at every turn. */
  #told = '';

  constructor(healthy: () => boolean | Promise<boolean>, interval: number, env: NodeJS.ProcessEnv) {
    this.#healthy = healthy;
    this.#interval = interval;
    this.#env = env;
  }

  /** One turn. The next is timed from its beginning, so that a slow check does not stretch the interval. */
  async turn(): Promise<void> {
    const began = performance.now();
    const trouble = await this.#check();
    if (this.#stopped) return;
    const sent = trouble === null && this.#ping();
    if (trouble !== null) this.#tellIll(trouble);
    const wait = trouble === null && !sent ? this.#interval / retryPart : this.#interval;
    this.#timer = setTimeout(() => void this.turn(), Math.max(1, wait - (performance.now() - began)));
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** The trouble, or null. A check that hangs is waited for, not asked again. */
  async #check(): Promise<string | null> {
    const slow = setTimeout(() => this.#tellIll(`has not answered in ${this.#interval} ms`), this.#interval);
    slow.unref();
    try {
      return (await this.#healthy()) === true ? null : 'says no';
    } catch (error) {
      return `failed (${String(error)})`;
    } finally {
      clearTimeout(slow);
    }
  }

  #ping(): boolean {
    try {
      if (!tellPrimary({ alive: true })) notify({ watchdog: true }, { env: this.#env });
      this.#told = '';
      return true;
    } catch (error) {
      this.#tell(`The sign of life for the service manager could not be sent: ${(error as Error).message}`);
      return false;
    }
  }

  #tellIll(trouble: string): void {
    if (!this.#stopped) this.#tell(`The health check ${trouble}: the service manager gets no sign of life`);
  }

  #tell(trouble: string): void {
    if (this.#told === trouble) return;
    this.#told = trouble;
    process.emitWarning(trouble, { type: 'ListenFdsWarning' });
  }
}

/**
 * Sends signs of life from the event loop for as long as it turns and `healthy` agrees, the first one at once. Does
 * nothing if the manager expects none. Keeps no process alive, and never throws later on: what goes wrong is told as
 * a warning. In a cluster worker they go to the primary, if that has called listenFds(): it pings while all workers are well.
 *
 * @returns stops it
 * @throws ListenFdsError LISTENFDS_BAD_OPTION, LISTENFDS_BAD_ENVIRONMENT
 */
export function startWatchdog(options: StartWatchdogOptions = {}): () => void {
  const { healthy = () => true, interval: given, env = process.env, pid } = readOptions(startWatchdogOptions, options);
  speaks('watchdog');
  // The watchdog of a cluster's primary is for its workers, too: it pings as long as all of them are well.
  const watched = pid ?? (isClusterWorker() ? process.ppid : undefined);
  const timeout = watchdogEnabled({ env, pid: watched });
  if (timeout === null) return () => {};
  const interval = given ?? timeout / 2;
  if (interval >= timeout) throw badValue('interval', options.interval, `below the manager's timeout of ${timeout} ms`);
  const watchdog = new Watchdog(healthy, interval, env);
  void watchdog.turn();
  return () => watchdog.stop();
}
