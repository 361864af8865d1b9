// The options of serve(), and the service that it returns.
import type { ConnectionStats } from '../admit/gate.js';
import type { App } from '../listen/frameworks/adapt.js';
import type { Listening } from '../listen/listen.js';
import { type ListenTarget, type Target, type Wanted, listenOptions, parseTarget } from '../take/target.js';
import {
  type Option,
  type TableOf,
  type Values,
  badOption,
  badValue,
  boolean,
  callback,
  given,
  nested,
  oneOf,
  readOptions,
  refuseUnknown,
  span,
} from '../text/options.js';
import { readVariable, warnOfMisspelt } from '../text/variables.js';
import { type DrainOptions, type DrainResult, drainOptions } from './drain.js';
import { type UpgradeOptions, type UpgradeResult, upgradeOptions } from './upgrade.js';

/** Why a service ends. */
export type StopReason = NodeJS.Signals | 'idle' | 'error' | 'close' | 'upgrade';

/** The signals that end a service. */
export type StopSignal = 'SIGTERM' | 'SIGINT';
export const stopSignals: readonly StopSignal[] = ['SIGTERM', 'SIGINT'];
export const isStopSignal = (reason: unknown): reason is StopSignal => stopSignals.includes(reason as StopSignal);

/** The argument of onStop(). */
export interface StopContext {
  /** Why the service ends: a signal, or one word for another reason. */
  readonly reason: StopReason;
  /** The error that ended it, if reason is 'error'. */
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
   * if every listener was inherited, since the manager then keeps them. A connection that says nothing is idle, a
   * WebSocket is not.
   * @default the environment variable LISTENFDS_IDLE_TIMEOUT, else never
   */
  idleTimeout?: number | string;
  /**
   * Called on SIGHUP. When it fails, or takes longer than a minute, the service goes on as before, and says so in its
   * status.
   */
  onReload?: () => unknown;
  /** Called after draining: close databases here. */
  onStop?: (context: StopContext) => unknown;
  /** Asked before every watchdog ping; false, or an error, lets the watchdog run out. */
  healthy?: () => boolean | Promise<boolean>;
  /**
   * How long requests in flight get after an uncaught error: milliseconds, or a time span such as '2s'.
   * @default 2000
   */
  crashTimeout?: number | string;
  /**
   * How an upgrade can be asked for, next to service.upgrade(): by a signal, by `listenfds upgrade PID` (true, and with a
   * signal as well), and with which options.
   * @default false
   */
  upgrade?: 'SIGHUP' | 'SIGUSR2' | boolean | UpgradeTrigger;
  /**
   * When handlers that others put on the same signals are called: a telemetry library, Apollo, Nest. With 'after' that is
   * when the service has ended; the process exits when they are done, within a second if they do not say so by a promise.
   * With 'together' they are called at once, as Node.js does it.
   * @default 'after'
   */
  otherHandlers?: 'after' | 'together';
  /**
   * Exit the process when the service has ended: 0 after a signal or idle exit, 1 after an uncaught error or a failed
   * stop hook. With false the caller does, and uncaught errors are left to it.
   * @default true
   */
  exit?: boolean;
  /**
   * The signals that end the service. One that is not in the list is left to the program.
   * @default both, SIGTERM and SIGINT
   */
  signals?: readonly ('SIGTERM' | 'SIGINT')[];
  /**
   * Where the service reports what goes wrong: an uncaught error, a failed reload or upgrade, a stop that was not clean.
   * @default console.error
   */
  log?: (message: string, error?: unknown) => void;
}

/** One of several apps. */
export interface ServedApp extends ListenTarget {
  /** The app that serves there. */
  app: App;
}

/** A service that is up. */
export interface Service {
  /** One per app, in order. */
  readonly listening: readonly Listening[];
  /** Connections of all listeners together, now. */
  readonly stats: ConnectionStats;
  /**
   * The answer of a health endpoint: true from READY=1 until the service is told to end, with {@link ServeOptions.drainDelay}
   * that long before it stops accepting.
   *
   * @example
   * let service;
   * app.get('/health', (request, response) => response.status(service?.ready ? 200 : 503).end());
   * service = await serve(app, { port: 3000, drainDelay: '5s' });
   */
  readonly ready: boolean;
  /**
   * Aborted when the service stops accepting: event streams, long polls and WebSockets should end then, which are waited for
   * otherwise. Its `reason` is an error with the code LISTENFDS_STOPPING, whose `cause` is the {@link StopReason}.
   *
   * @example
   * const tick = setInterval(() => response.write('data: tick\n\n'), 1000);
   * service.signal.addEventListener('abort', () => response.end(), { once: true });
   */
  readonly signal: AbortSignal;
  /**
   * Starts the program anew with all sockets of this process, waits until it is ready, tells the manager, and then drains
   * and ends this one as a signal would.
   *
   * @throws ListenFdsError LISTENFDS_UPGRADE_FAILED, LISTENFDS_UPGRADE_REFUSED: this process goes on serving
   */
  upgrade(options?: UpgradeOptions): Promise<UpgradeResult>;
  /**
   * Says that work goes on which no connection shows, such as a job whose request has been answered: while it lasts there is
   * no idle exit, and a drain waits for it, up to its deadline.
   *
   * @example
   * app.post('/jobs', (request, response) => {
   *   response.status(202).end();
   *   service.busy(transcode(request.query.file)).catch(report);
   * });
   *
   * @returns what the work returns
   */
  busy<T>(work: T | PromiseLike<T>): Promise<T>;
  /** Stops accepting and lets accepted requests end. */
  drain(): Promise<DrainResult>;
  /**
   * Drains, closes the frameworks and runs onStop. Does not exit. If the service bound all its sockets itself, as in tests, idle
   * connections are closed after 100 ms, unless `drain.grace` says otherwise: nobody listens there afterwards.
   */
  close(): Promise<void>;
}

/** The options of {@link UpgradeTrigger}. */
export const upgradeTriggerOptions = {
  ...upgradeOptions,
  signal: oneOf('SIGHUP', 'SIGUSR2'),
  prepare: callback as Option<() => UpgradeOptions | Promise<UpgradeOptions>>,
} satisfies TableOf<UpgradeTrigger>;

/** A trigger as one object; null for no upgrades. */
type Trigger = Values<typeof upgradeTriggerOptions> | null;

const trigger: Option<Trigger> = {
  allowed: "true, false, 'SIGHUP', 'SIGUSR2' or an object",
  table: upgradeTriggerOptions,
  read(value, name) {
    if (value === false) return null;
    const options = value === true ? {} : typeof value === 'string' ? { signal: value } : value;
    if (typeof options !== 'object' || options === null || Array.isArray(options)) return undefined;
    if (typeof value === 'string' && upgradeTriggerOptions.signal.read(value, name) === undefined) return undefined;
    return readOptions(upgradeTriggerOptions, options, `${name}.`);
  },
};

/** The options of serve() that are the service's; the others are the target's. */
export const serveOptions = {
  drain: nested(drainOptions),
  drainDelay: { ...span({ zero: true }), default: 0 },
  idleTimeout: span(),
  onReload: callback as Option<() => unknown>,
  onStop: callback as Option<(context: StopContext) => unknown>,
  healthy: callback as Option<() => boolean | Promise<boolean>>,
  crashTimeout: { ...span({ zero: true }), default: 2000 },
  upgrade: trigger,
  otherHandlers: { ...oneOf('after', 'together'), default: 'after' as const },
  exit: { ...boolean, default: true },
  signals: given<readonly StopSignal[]>(
    "an array of 'SIGTERM' and 'SIGINT'",
    (value) => Array.isArray(value) && value.every(isStopSignal),
  ),
  log: callback as Option<(message: string, error?: unknown) => void>,
} satisfies TableOf<ServeOptions>;

const allOptions = { ...serveOptions, ...listenOptions };

/** The service's own options, times in milliseconds. */
export interface OwnOptions extends Omit<Values<typeof serveOptions>, 'idleTimeout' | 'upgrade'> {
  drain: Values<typeof drainOptions>;
  /** Null for never. */
  idleTimeout: number | null;
  upgrade: Trigger;
  signals: readonly StopSignal[];
  log: (message: string, error?: unknown) => void;
}

/** One app and where it listens. */
export interface AppWithTarget {
  readonly app: App;
  readonly wanted: Wanted;
}

function targetOf(app: ServedApp, index: number): AppWithTarget {
  if (typeof app !== 'object' || app === null)
    throw badValue(`Number ${index + 1} of the apps`, app, 'an object with app');
  const { app: one, ...target } = app;
  const misplaced = Object.keys(target).find((name) => name in serveOptions);
  if (misplaced !== undefined) {
    throw badOption(
      `${misplaced} is for the whole service: it stands behind the list of apps, serve([…], { ${misplaced} })`,
    );
  }
  return { app: one, wanted: parseTarget(target) };
}

/**
 * Tells the options of the service from those of its targets. Values that would fail later fail here.
 *
 * @throws ListenFdsError LISTENFDS_BAD_OPTION, LISTENFDS_BAD_ENVIRONMENT
 */
export function readServeOptions(
  app: App | readonly ServedApp[],
  options: Target | (ListenTarget & ServeOptions),
): { apps: AppWithTarget[]; own: OwnOptions } {
  if (typeof options === 'number') options = { port: options };
  if (typeof options === 'string') options = { address: options };
  if (typeof options !== 'object' || options === null)
    throw badValue('The target', options, 'a port, an address string or an object of options');
  const given = Object.entries(options).filter(([name, value]) => value !== undefined && name !== 'fd');
  refuseUnknown(Object.fromEntries(given), allOptions);
  const target = Object.fromEntries(Object.entries(options).filter(([name]) => !(name in serveOptions)));
  const service = readOptions(serveOptions, Object.fromEntries(given.filter(([name]) => name in serveOptions)));
  warnOfMisspelt(process.env);
  const own: OwnOptions = {
    ...service,
    drain: service.drain ?? readOptions(drainOptions, {}),
    idleTimeout: service.idleTimeout ?? readVariable('LISTENFDS_IDLE_TIMEOUT', process.env),
    upgrade: service.upgrade ?? null,
    signals: service.signals ?? stopSignals,
    log: service.log ?? ((...said) => console.error(...said)),
  };
  if (!Array.isArray(app)) return { apps: [{ app: app as App, wanted: parseTarget(target) }], own };
  const [misplaced] = Object.keys(target);
  if (misplaced !== undefined) {
    throw badOption(
      `${misplaced} is for one app: with several it stands beside the app, serve([{ app, ${misplaced} }])`,
    );
  }
  if (app.length === 0) throw badOption('serve() was given a list of apps with none in it');
  return { apps: (app as readonly ServedApp[]).map(targetOf), own };
}
