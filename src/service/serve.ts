// serve(): the whole life of a service, from its first listener to its exit.
import { type ConnectionStats, gatekeeper } from '../admit/gate.js';
import { type App, adaptApp } from '../listen/frameworks/adapt.js';
import type { AdaptedApp } from '../listen/frameworks/adapted.js';
import { type Listening, listenAdapted } from '../listen/listen.js';
import { notify } from '../manager/notify.js';
import { startWatchdog } from '../manager/watchdog.js';
import { ListenFdsError } from '../system/errors.js';
import { type ListenTarget, type Target, parseTarget } from '../take/target.js';
import type { NotifyState } from '../text/notify-state.js';
import { listenForCommands } from './control.js';
import { type DrainOptions, type DrainResult, drain } from './drain.js';
import { watchIdle } from './idle.js';
import {
  type AppWithTarget,
  type OwnOptions,
  type ServeOptions,
  type ServedApp,
  type Service,
  type StopContext,
  type StopReason,
  type UpgradeTrigger,
  readOptions,
} from './options.js';
import { reportStatus, statusText, total } from './status.js';
import { type Succession, joinSuccession } from './successor.js';
import { type UpgradeOptions, type UpgradeResult, upgrade } from './upgrade.js';

/** How far ahead systemd's stop timeout is moved while we drain, and how often. Milliseconds. */
const extendTimeout = 15_000;
const extendInterval = 5_000;

/** A stop hook gets this long when draining has used up its time. */
const leastHookTime = 1_000;

const oneLine = (error: unknown): string => String((error as Error)?.message ?? error).replaceAll(/[\n\r\0]+/g, ' ');

class RunningService implements Service {
  readonly listening: Listening[] = [];
  readonly #apps: AdaptedApp[] = [];
  readonly #options: OwnOptions;
  readonly #handlers: [NodeJS.Signals, () => void][] = [];
  readonly #cleanups: (() => void)[] = [];
  #stopping: Promise<void> | null = null;
  #draining: Promise<DrainResult> | null = null;
  #reloading: Promise<void> | null = null;
  #reloadAgain = false;
  #ready = false;
  #signalled: NodeJS.Signals | null = null;
  #onError: ((error: unknown) => void) | null = null;

  #succession: Succession | null = null;
  #takenOver: Promise<void> = Promise.resolve();
  #upgrading: AbortController | null = null;
  /** Settled when no successor is being started that would be left behind. */
  #starting: Promise<unknown> = Promise.resolve();
  /** The successor is the service now: the manager does not listen to us any more. */
  #handedOver = false;
  #warned = false;
  /** What the last reload or upgrade failed with: it stays in the status until one succeeds. */
  #failure: string | null = null;
  #toldToGo = false;
  #endDelay: () => void = () => {};

  constructor(options: OwnOptions) {
    this.#options = options;
  }

  get stats(): ConnectionStats {
    return total(this.#keepers());
  }

  get ready(): boolean {
    return this.#ready && this.#stopping === null && this.#draining === null;
  }

  #keepers(): ReturnType<typeof gatekeeper>[] {
    return this.#apps.map(({ server }) => gatekeeper(server));
  }

  async start(apps: readonly AppWithTarget[]): Promise<void> {
    // systemd refuses Type=notify-reload services that do not catch SIGHUP by READY=1, and a signal may come any time.
    this.#catchSignals();
    const { healthy } = this.#options;
    try {
      this.#succession = await joinSuccession();
      this.#cleanups.push(startWatchdog({ healthy }));
      for (const { app, target } of apps) {
        const adapted = await adaptApp(app);
        this.listening.push(await listenAdapted(adapted, parseTarget(target)));
        this.#apps.push(adapted);
      }
    } catch (error) {
      this.#release();
      for (const { server } of this.#apps) server.close();
      throw error;
    }
    this.#begin();
    if (this.#signalled) this.#end(this.#signalled);
  }

  #begin(): void {
    const { idleTimeout } = this.#options;
    if (this.#options.upgrade) this.#cleanups.push(listenForCommands(this));
    this.#cleanups.push(reportStatus(this.#keepers(), (counts) => this.#tell({ status: this.#status(counts) })));
    if (idleTimeout !== null && this.listening.every(({ source }) => source === 'inherited')) {
      this.#cleanups.push(watchIdle(this.#keepers(), idleTimeout, () => this.#end('idle')));
    }
    this.#endWithConnection();
    this.#ready = true;
    this.#tell({ ready: true, status: statusText(this.stats) });
    this.#takenOver = this.#takeOver();
  }

  /** As a successor: once the manager knows us, it is ours to talk to. */
  async #takeOver(): Promise<void> {
    if (!this.#succession) return;
    const { hello, ours } = this.#succession;
    await ours;
    const { env } = process;
    if (hello.notifySocket === null) delete env['NOTIFY_SOCKET'];
    else env['NOTIFY_SOCKET'] = hello.notifySocket;
    if (this.#stopping) return;
    if (hello.watchdogUsec !== null) {
      env['WATCHDOG_USEC'] = hello.watchdogUsec;
      env['WATCHDOG_PID'] = String(process.pid);
      this.#cleanups.push(startWatchdog({ healthy: this.#options.healthy }));
    }
    this.#tell({ status: statusText(this.stats) });
  }

  #status(counts: string): string {
    return this.#failure === null ? counts : `${this.#failure} (${counts})`;
  }

  /** A manager that does not listen must not end a service that works. */
  #tell(state: NotifyState): void {
    if (this.#handedOver) return;
    try {
      notify(state);
    } catch (error) {
      if (this.#warned) return;
      this.#warned = true;
      process.emitWarning(
        `The service manager cannot be told about this service: ${oneLine(error)}`,
        'ListenFdsWarning',
      );
    }
  }

  /** Accept=yes: this process is for one connection, and done when that closes. */
  #endWithConnection(): void {
    if (!this.listening.every(({ remote }) => remote !== null)) return;
    let open = this.listening.length;
    for (const { server } of this.listening) {
      server.once('close', () => {
        open -= 1;
        if (open === 0 && !this.#stopping) this.#end('close');
      });
    }
  }

  #catchSignals(): void {
    const { onReload, exit = true } = this.#options;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) this.#on(signal, () => this.#end(signal));
    const upgradeSignal = this.#upgradeSignal();
    if (upgradeSignal) this.#on(upgradeSignal, () => void this.upgrade().catch(() => {})); // it has been reported
    // By hand and without a hook, SIGHUP means that the terminal is gone.
    if (upgradeSignal !== 'SIGHUP' && (onReload || process.env['NOTIFY_SOCKET'])) {
      this.#on('SIGHUP', () => void this.#reload());
    }
    if (!exit) return;
    this.#onError = (error) => this.#crash(error);
    process.on('uncaughtException', this.#onError);
  }

  #on(signal: NodeJS.Signals, handler: () => void): void {
    this.#handlers.push([signal, handler]);
    process.on(signal, handler);
  }

  #release(): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
    if (this.#onError) process.off('uncaughtException', this.#onError);
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
  }

  #upgradeSignal(): 'SIGHUP' | 'SIGUSR2' | null {
    const { upgrade: by } = this.#options;
    if (typeof by === 'object') return by.signal ?? null;
    return typeof by === 'string' ? by : null;
  }

  async upgrade(options: UpgradeOptions = {}): Promise<UpgradeResult> {
    if (this.#upgrading || !this.#ready || this.#stopping || this.#draining) {
      const why = this.#upgrading
        ? 'One is under way'
        : this.#ready
          ? 'The service is stopping'
          : 'The service is starting';
      throw new ListenFdsError('LISTENFDS_UPGRADE_REFUSED', `There is no upgrade now: ${why}`);
    }
    const { upgrade: by } = this.#options;
    const configured: UpgradeTrigger = typeof by === 'object' ? by : {};
    this.#upgrading = new AbortController();
    // Before that, NOTIFY_SOCKET is the old process's, which is about to leave.
    await this.#takenOver;
    this.#tell({ reloading: true, status: 'Upgrading' });
    let result: UpgradeResult;
    try {
      const prepared = await configured.prepare?.();
      const running = upgrade({ ...configured, ...prepared, ...options }, this.#upgrading.signal);
      this.#starting = running.catch(() => {});
      result = await running;
    } catch (error) {
      const status = (this.#failure = `Upgrade failed, going on as before: ${oneLine(error)}`);
      console.error(status);
      if (!this.#stopping) this.#tell({ ready: true, status });
      throw error;
    } finally {
      this.#upgrading = null;
    }
    this.#handedOver = true;
    this.#end('upgrade');
    return result;
  }

  /** One reload at a time; signals that come meanwhile ask for one more. */
  async #reload(): Promise<void> {
    if (!this.#ready || this.#stopping) return;
    if (this.#reloading) {
      this.#reloadAgain = true;
      return;
    }
    do {
      this.#reloadAgain = false;
      this.#reloading = this.#reloadOnce();
      await this.#reloading;
      this.#reloading = null;
    } while (this.#reloadAgain && !this.#stopping);
  }

  async #reloadOnce(): Promise<void> {
    this.#tell({ reloading: true });
    let status = statusText(this.stats);
    try {
      await this.#options.onReload?.();
      this.#failure = null;
    } catch (error) {
      status = this.#failure = `Reload failed, going on as before: ${oneLine(error)}`;
      console.error('Reload failed, going on as before:', error);
    }
    if (!this.#stopping) this.#tell({ ready: true, status });
  }

  /** A signal, or idleness, ends the service and the process. */
  #end(reason: StopReason): void {
    if (!this.#ready) {
      this.#signalled ??= reason as NodeJS.Signals;
      return;
    }
    const signal = reason === 'SIGTERM' || reason === 'SIGINT' ? reason : null;
    // After an upgrade the manager tells us to go when it stops the service, and once more when our successor has ended: we
    // are going already.
    if (this.#handedOver && signal === 'SIGTERM') return;
    if (this.#toldToGo) {
      if (signal) this.#endAtOnce(signal);
      return;
    }
    this.#toldToGo = signal !== null;
    const delay = signal === null ? 0 : this.#options.drainDelay;
    this.#stop({ reason }, this.#options.drain ?? {}, delay).then(
      () => this.#exit(0),
      (error: unknown) => {
        console.error('The service did not end cleanly:', error);
        this.#exit(1);
      },
    );
  }

  /** The second signal does what it would have done without us. */
  #endAtOnce(signal: NodeJS.Signals): void {
    if (this.#options.exit === false) return;
    this.#release();
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }

  #crash(error: unknown): void {
    console.error('Uncaught', error);
    if (!this.#ready || this.#stopping) process.exit(1);
    const { errno } = error as { errno?: unknown };
    this.#tell({
      status: `Failed: ${oneLine(error)}`,
      exitStatus: 1,
      ...(typeof errno === 'number' && errno !== 0 ? { errno: Math.abs(errno) } : {}),
    });
    const timeout = this.#options.crashTimeout ?? 2_000;
    const end = (): void => this.#exit(1);
    this.#stop({ reason: 'error', error }, { timeout, grace: 0 }).then(end, end);
  }

  #exit(code: number): void {
    if (this.#options.exit !== false) process.exit(code);
  }

  drain(): Promise<DrainResult> {
    return this.#drain(this.#options.drain ?? {});
  }

  #drain(options: DrainOptions): Promise<DrainResult> {
    this.#endDelay();
    this.#draining ??= this.#drainAll(options);
    return this.#draining;
  }

  /** The manager is to wait while that lasts. @returns stops telling it */
  #tellStopping(status: () => string): () => void {
    const say = (): void => this.#tell({ stopping: true, extendTimeout, status: status() });
    say();
    const timer = setInterval(say, extendInterval);
    return () => clearInterval(timer);
  }

  /** Goes on as before, but not ready; a drain() that the program asks for meanwhile ends it. */
  async #delay(milliseconds: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const told = this.#tellStopping(() => `Not ready, draining soon, ${this.stats.active} connections`);
    await new Promise<void>((resolve) => {
      this.#endDelay = resolve;
      timer = setTimeout(resolve, milliseconds);
    });
    clearTimeout(timer);
    told();
  }

  async #drainAll(options: DrainOptions): Promise<DrainResult> {
    const started = performance.now();
    const told = this.#tellStopping(() => `Draining, ${this.stats.active} connections left`);
    const results = await Promise.all(this.#apps.map((adapted) => this.#drainApp(adapted, options)));
    told();
    const sum = (key: 'completed' | 'closedIdle' | 'destroyed'): number =>
      results.reduce((all, one) => all + one[key], 0);
    return {
      completed: sum('completed'),
      closedIdle: sum('closedIdle'),
      destroyed: sum('destroyed'),
      durationMs: performance.now() - started,
    };
  }

  /** A framework's close hooks end its WebSockets, so they run once nothing else is left, not after the deadline. */
  async #drainApp(adapted: AdaptedApp, options: DrainOptions): Promise<DrainResult> {
    let closing: Promise<void> | undefined;
    const result = await drain(adapted.server, options, () => {
      closing = adapted.close();
      closing.catch(() => {}); // reported below
    });
    await (closing ?? adapted.close());
    return result;
  }

  close(): Promise<void> {
    return this.#stop({ reason: 'close' }, this.#options.drain ?? {});
  }

  #stop(context: Omit<StopContext, 'deadline'>, options: DrainOptions, delay = 0): Promise<void> {
    this.#upgrading?.abort();
    this.#stopping ??= this.#stopOnce(context, options, delay);
    return this.#stopping;
  }

  async #stopOnce(context: Omit<StopContext, 'deadline'>, options: DrainOptions, delay: number): Promise<void> {
    if (delay > 0 && !this.#draining) await this.#delay(delay);
    const deadline = Date.now() + (options.timeout ?? 30_000);
    try {
      await this.#drain(options);
      const { onStop } = this.#options;
      if (onStop) await withDeadline(onStop({ ...context, deadline }), Math.max(leastHookTime, deadline - Date.now()));
    } finally {
      await this.#starting;
      this.#release();
    }
  }
}

async function withDeadline(work: unknown, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new ListenFdsError('LISTENFDS_TIMEOUT', `onStop did not finish within ${Math.round(milliseconds)} ms`));
    }, milliseconds);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** See entry.ts. */
export async function serve(
  app: App | readonly ServedApp[],
  options: Target | (ListenTarget & ServeOptions) = {},
): Promise<Service> {
  const { apps, own } = readOptions(app, options);
  const service = new RunningService(own);
  await service.start(apps);
  return service;
}
