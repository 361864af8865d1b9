// serve(): the whole life of a service, from its first listener to its exit.
import { type ConnectionStats, gatekeeper } from '../admit/gate.js';
import { type App, adaptApp } from '../listen/frameworks/adapt.js';
import type { AdaptedApp } from '../listen/frameworks/adapted.js';
import { type Listening, listenAdapted } from '../listen/listen.js';
import { startWatchdog } from '../manager/watchdog.js';
import type { ListenTarget, Target } from '../take/target.js';
import { listenForCommands } from './control.js';
import type { DrainResult } from './drain.js';
import { HandOver } from './hand-over.js';
import { watchIdle } from './idle.js';
import {
  type AppWithTarget,
  type OwnOptions,
  type ServeOptions,
  type ServedApp,
  type Service,
  readServeOptions,
} from './options.js';
import { Reloads } from './reload.js';
import { Signals } from './signals.js';
import { reportStatus, statusText, total } from './status.js';
import { Stop, type Stoppable } from './stop.js';
import type { UpgradeOptions, UpgradeResult } from './upgrade.js';
import { Voice } from './voice.js';

class RunningService implements Service, Stoppable {
  readonly listening: Listening[] = [];
  readonly apps: AdaptedApp[] = [];
  readonly options: OwnOptions;
  readonly voice = new Voice();
  // systemd refuses Type=notify-reload services that do not catch SIGHUP by READY=1, and a signal may come any time.
  readonly signals: Signals;
  readonly #stop: Stop;
  readonly #handOver: HandOver;
  readonly #reloads: Reloads;
  readonly #cleanups: (() => void)[] = [];

  constructor(options: OwnOptions) {
    this.options = options;
    this.#stop = new Stop(this);
    this.#handOver = new HandOver(this.voice, options);
    this.#reloads = new Reloads(options, this.voice, () => statusText(this.stats));
    this.signals = new Signals(options, {
      // After an upgrade the manager tells us to go when it stops the service, and once more when our successor has ended:
      // we are going already.
      stop: (signal) => (signal === 'SIGTERM' && this.#handOver.done ? undefined : this.#stop.end(signal)),
      upgrade: () => void this.upgrade().catch(() => {}), // it has been reported
      reload: () => void this.#reloads.request(() => this.ready),
      crash: (error) => this.#stop.crash(error),
    });
  }

  get stats(): ConnectionStats {
    return total(this.#keepers());
  }

  get ready(): boolean {
    return this.#stop.phase === 'serving';
  }

  #keepers(): ReturnType<typeof gatekeeper>[] {
    return this.apps.map(({ server }) => gatekeeper(server));
  }

  async start(apps: readonly AppWithTarget[]): Promise<void> {
    try {
      await this.#handOver.join();
      this.#cleanups.push(startWatchdog({ healthy: this.options.healthy }));
      for (const { app, wanted } of apps) {
        const adapted = await adaptApp(app);
        this.listening.push(await listenAdapted(adapted, wanted));
        this.apps.push(adapted);
      }
    } catch (error) {
      this.release();
      for (const { server } of this.apps) server.close();
      throw error;
    }
    this.#begin();
  }

  #begin(): void {
    const { idleTimeout, upgrade } = this.options;
    if (upgrade) this.#cleanups.push(listenForCommands(this));
    this.#cleanups.push(reportStatus(this.#keepers(), (counts) => this.voice.tellStatus(counts)));
    if (idleTimeout !== null && this.listening.every(({ source }) => source === 'inherited')) {
      this.#cleanups.push(watchIdle(this.#keepers(), idleTimeout, () => this.#stop.end('idle')));
    }
    this.#endWithConnection();
    this.voice.tell({ ready: true, status: statusText(this.stats) });
    void this.#handOver.takeOver().then((tookOver) => tookOver && this.ready && this.#tookOver());
    this.#stop.started();
  }

  #tookOver(): void {
    if (process.env['WATCHDOG_USEC']) this.#cleanups.push(startWatchdog({ healthy: this.options.healthy }));
    this.voice.tell({ status: statusText(this.stats) });
  }

  /** Accept=yes: this process is for one connection, and done when that closes. */
  #endWithConnection(): void {
    if (!this.listening.every(({ remote }) => remote !== null)) return;
    let open = this.listening.length;
    for (const { server } of this.listening) {
      server.once('close', () => {
        open -= 1;
        if (open === 0) this.#stop.end('close');
      });
    }
  }

  abandonUpgrade(): Promise<unknown> {
    return this.#handOver.abandon();
  }

  release(): void {
    this.signals.release();
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
  }

  async upgrade(options: UpgradeOptions = {}): Promise<UpgradeResult> {
    const result = await this.#handOver.upgrade(options, () => this.#stop.phase);
    this.#stop.end('upgrade');
    return result;
  }

  drain(): Promise<DrainResult> {
    return this.#stop.drain();
  }

  close(): Promise<void> {
    return this.#stop.close();
  }
}

/** See entry.ts. */
export async function serve(
  app: App | readonly ServedApp[],
  options: Target | (ListenTarget & ServeOptions) = {},
): Promise<Service> {
  const { apps, own } = readServeOptions(app, options);
  const service = new RunningService(own);
  await service.start(apps);
  return service;
}
