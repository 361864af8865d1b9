// What serve() takes and gives.
import type { ConnectionStats } from '../admit/gate.js';
import type { App } from '../listen/frameworks/adapt.js';
import type { Listening } from '../listen/listen.js';
import { ListenFdsError } from '../system/errors.js';
import { type ListenTarget, type Target, parseTarget } from '../take/target.js';
import { parseDuration } from '../text/duration.js';
import type { DrainOptions, DrainResult } from './drain.js';
import type { UpgradeOptions, UpgradeResult } from './upgrade.js';

/** Why a service ends. */
export type StopReason = NodeJS.Signals | 'idle' | 'error' | 'close' | 'upgrade';

/** What a stop hook is told. */
export interface StopContext {
  /** What ended it: a signal, or the word for what it was. */
  readonly reason: StopReason;
  /** The error that ended it, where reason is 'error'. */
  readonly error?: unknown;
  /** When the process goes at the latest, in milliseconds since the epoch. */
  readonly deadline: number;
}

/** The options of an upgrade, and the signal that asks for one. */
export interface UpgradeTrigger extends UpgradeOptions {
  /** Without it only service.upgrade() and `listenfds upgrade PID` do. */
  signal?: 'SIGHUP' | 'SIGUSR2';
  /**
   * Called when an upgrade begins, for options that are not known before: the state and the connections there are then.
   * When it fails, so does the upgrade.
   *
   * @example
   * await serve(server, { port: 7000, upgrade: { prepare: () => ({ state: { counts } }) } });
   */
  prepare?: () => UpgradeOptions | Promise<UpgradeOptions>;
}

/** Options of {@link serve}, next to the target's. */
export interface ServeOptions {
  /** How to drain at the end; see {@link DrainOptions}. */
  drain?: DrainOptions;
  /**
   * How long a service that SIGTERM or SIGINT tells to end goes on as before, with {@link Service.ready} false, until it
   * drains: milliseconds, or a time span such as '5s'. For load balancers, which need to find its health endpoint saying
   * no before they send the next request elsewhere. An upgrade and an idle exit need no such time.
   * @default 0
   */
  drainDelay?: number | string;
  /**
   * Leave with status 0 when nothing has been going on for that long: milliseconds, or a time span such as '10min'. Only
   * where every listener was inherited, since the manager then keeps them. A connection that says nothing is idle, a
   * WebSocket is not.
   * @default the environment variable LISTENFDS_IDLE_TIMEOUT, else never
   */
  idleTimeout?: number | string;
  /** Called on SIGHUP. When it fails the service goes on with what it had, and says so in its status. */
  onReload?: () => unknown;
  /** Called after draining: close databases here. */
  onStop?: (context: StopContext) => unknown;
  /** Asked before every watchdog ping; false, or an error, lets the watchdog run out. */
  healthy?: () => boolean | Promise<boolean>;
  /**
   * Milliseconds that requests in flight get after an uncaught error.
   * @default 2000
   */
  crashTimeout?: number;
  /**
   * How an upgrade can be asked for, next to service.upgrade(): by a signal, by `listenfds upgrade PID` (true, and with a
   * signal as well), and with which options.
   * @default false
   */
  upgrade?: 'SIGHUP' | 'SIGUSR2' | boolean | UpgradeTrigger;
  /**
   * Exit the process when the service has ended: 0 after a signal or idle exit, 1 after an uncaught error or a failed
   * stop hook. With false the caller does, and uncaught errors are left to it.
   * @default true
   */
  exit?: boolean;
}

/** One of several apps. */
export interface ServedApp extends ListenTarget {
  /** What serves there. */
  app: App;
}

/** A service that is up. */
export interface Service {
  /** One per app, in order. */
  readonly listening: readonly Listening[];
  /** Connections of all listeners together, now. */
  readonly stats: ConnectionStats;
  /**
   * What a health endpoint says: true from READY=1 until the service is told to end, with {@link ServeOptions.drainDelay}
   * that long before it stops accepting.
   *
   * @example
   * let service;
   * app.get('/health', (request, response) => response.status(service?.ready ? 200 : 503).end());
   * service = await serve(app, { port: 3000, drainDelay: '5s' });
   */
  readonly ready: boolean;
  /**
   * Starts the program anew with all sockets of this process, waits until it is ready, tells the manager, and then drains
   * and ends this one as a signal would.
   *
   * @throws ListenFdsError LISTENFDS_UPGRADE_FAILED, LISTENFDS_UPGRADE_REFUSED: this process goes on serving
   */
  upgrade(options?: UpgradeOptions): Promise<UpgradeResult>;
  /** Stops accepting and lets what was accepted end. */
  drain(): Promise<DrainResult>;
  /** Drains, closes the frameworks and runs onStop. Does not exit. */
  close(): Promise<void>;
}

/** Every option that is the service's; the others are the target's. */
const serviceOptions: Readonly<Record<keyof ServeOptions, true>> = {
  drain: true,
  drainDelay: true,
  idleTimeout: true,
  onReload: true,
  onStop: true,
  healthy: true,
  crashTimeout: true,
  upgrade: true,
  exit: true,
};

/** The service's own options, times in milliseconds. */
export interface OwnOptions extends Omit<ServeOptions, 'idleTimeout' | 'drainDelay'> {
  /** Null for never. */
  idleTimeout: number | null;
  drainDelay: number;
}

/** One app and where it listens. */
export interface AppWithTarget {
  readonly app: App;
  readonly target: Target | undefined;
}

/**
 * Tells the options of the service from those of its targets. What would fail later fails here.
 *
 * @throws ListenFdsError LISTENFDS_BAD_OPTION
 */
export function readOptions(
  app: App | readonly ServedApp[],
  options: Target | (ListenTarget & ServeOptions),
): { apps: AppWithTarget[]; own: OwnOptions } {
  if (typeof options === 'number') options = { port: options };
  if (typeof options === 'string') options = { address: options };
  if (typeof options !== 'object' || options === null) parseTarget(options); // says what is wrong
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const service: ServeOptions = Object.fromEntries(given.filter(([name]) => name in serviceOptions));
  const target: ListenTarget = Object.fromEntries(given.filter(([name]) => !(name in serviceOptions)));
  const idleTimeout = service.idleTimeout ?? (process.env['LISTENFDS_IDLE_TIMEOUT'] || undefined);
  const { drainDelay = 0 } = service;
  const own: OwnOptions = {
    ...service,
    idleTimeout: idleTimeout === undefined ? null : parseDuration('idleTimeout', idleTimeout),
    drainDelay: drainDelay === 0 ? 0 : parseDuration('drainDelay', drainDelay),
  };
  if (!Array.isArray(app)) return { apps: [{ app: app as App, target }], own };
  if (Object.keys(target).length > 0) {
    throw new ListenFdsError(
      'LISTENFDS_BAD_OPTION',
      `With several apps, ${Object.keys(target).join(', ')} must stand beside the app that it is for`,
    );
  }
  const apps = (app as readonly ServedApp[]).map(({ app: one, ...its }) => ({ app: one, target: its }));
  return { apps, own };
}
