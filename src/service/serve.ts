// serve(): the whole life of a service, from its first listener to its exit.
import type { Server } from 'node:net';
import { type ConnectionStats, gatekeeper } from '../admit/gate.js';
import { type App, adaptApp } from '../listen/frameworks/adapt.js';
import type { AdaptedApp } from '../listen/frameworks/adapted.js';
import { type Listening, listenAdapted } from '../listen/listen.js';
import { startsUsAgain } from '../receive/origin.js';
import { isClusterWorker } from '../system/process-role.js';
import { formatAddress } from '../text/address.js';
import { badOption } from '../text/options.js';
import { startWatchdog } from '../manager/watchdog.js';
import type { ListenTarget, Target } from '../take/target.js';
import { type Arrivals, forgetServers, placeArrived, receiveConnections } from './arrivals.js';
import { type Carrier, canMove, openStoreCarrier } from './carrier.js';
import { listenForCommands } from './control.js';
import { type DrainResult, drain } from './drain.js';
import { HandOver } from './hand-over.js';
import { type IdleWatch, watchIdle } from './idle.js';
import {
  type AppWithTarget,
  type OwnOptions,
  type ServeOptions,
  type ServedApp,
  type Service,
  type StopReason,
  isStopSignal,
  readServeOptions,
} from './options.js';
import { openTogether } from './opening.js';
import { Reloads } from './reload.js';
import { catchSignals } from './signals.js';
import { logRefusals, reportStatus, statusText, total } from './status.js';
import { Stop, type Stoppable } from './stop.js';
import { type Member, allIdle, end, endAll, enter, leave } from './together.js';
import type { UpgradeOptions, UpgradeResult } from './upgrade.js';
import { Voice } from './voice.js';

class RunningService implements Service, Stoppable, Member {
  readonly listening: Listening[] = [];
  readonly apps: AdaptedApp[] = [];
  readonly options: OwnOptions;
  readonly voice = new Voice();
  readonly busySet = new Set<Promise<unknown>>();
  readonly #stop: Stop;
  readonly #handOver: HandOver;
  readonly #cleanups: (() => void)[] = [];
  #arrivals: readonly Arrivals[] = [];
  #idle: IdleWatch | null = null;

  constructor(options: OwnOptions) {
    this.options = options;
    this.#stop = new Stop(this);
    this.#handOver = new HandOver(this.voice, options);
    const reloads = new Reloads(options, this.voice, () => statusText(this.stats));
    // systemd refuses Type=notify-reload services that do not catch SIGHUP by READY=1, and a signal may come any time.
    enter(this);
    const actions = {
      upgrade: () => void this.upgrade().catch(() => {}), // it has been reported
      reload: () => void reloads.request(() => this.ready),
    };
    this.#cleanups.push(catchSignals(options, actions));
  }

  get stats(): ConnectionStats {
    return total(this.#keepers());
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get ready(): boolean {
    return this.#stop.phase === 'serving';
  }

  #keepers(): ReturnType<typeof gatekeeper>[] {
    return this.#servers().map(gatekeeper);
  }

  #servers(): Server[] {
    return this.apps.map(({ server }) => server);
  }

  async start(apps: readonly AppWithTarget[]): Promise<void> {
    try {
      await this.#handOver.join();
      this.#cleanups.push(startWatchdog({ healthy: this.options.healthy }));
      for (const { app } of apps) this.apps.push(await adaptApp(app));
      if (new Set(this.#servers()).size < apps.length) {
        throw badOption("A server is listed twice. With inherited: 'all' it takes every socket that was passed");
      }
      const listened = await openTogether(this.apps, (app, i) => listenAdapted(app, apps[i]!.wanted));
      this.listening.push(...listened);
    } catch (error) {
      this.release();
      leave(this);
      // If some listen, they may have accepted something.
      const open = this.apps.filter(({ server }) => server.listening);
      await Promise.allSettled(open.map(({ server }) => drain(server, this.options.drain)));
      throw error;
    }
    this.#begin();
  }

  #begin(): void {
    const { idleTimeout, upgrade } = this.options;
    if (upgrade) this.#cleanups.push(listenForCommands(this));
    this.#cleanups.push(logRefusals(this.#keepers(), (line) => this.options.log(line)));
    this.#cleanups.push(reportStatus(this.#keepers(), (counts, stats) => this.voice.tellStatus(counts, stats)));
    if (idleTimeout !== null && this.#mayLeave()) {
      const working = (): boolean => this.busySet.size > 0;
      this.#idle = watchIdle(this.#keepers(), idleTimeout, () => allIdle() && endAll('idle'), working);
      this.#cleanups.push(() => this.#idle?.stop());
    }
    this.#endWithConnection();
    const servers = (): Server[] => this.#servers();
    this.#arrivals = receiveConnections(servers);
    this.#cleanups.push(() => forgetServers(servers));
    this.voice.tell({ ready: true, status: statusText(this.stats) });
    void this.#handOver.takeOver().then((tookOver) => tookOver && this.#tookOver());
    this.#stop.started();
  }

  /** Whether the manager would start it again; said once if it may be expected and is not so. */
  #mayLeave(): boolean {
    const staying = this.listening.filter(({ origin }) => !startsUsAgain(origin));
    const others = this.listening.length - staying.length;
    if (others === 0) return false;
    if (staying.length === 0 && !isClusterWorker()) return true;
    const why = isClusterWorker()
      ? 'this is a cluster worker, and its primary would have to start it again'
      : `nobody would keep ${staying.map(({ address }) => formatAddress(address)).join(' and ')}, which the service has bound itself`;
    process.emitWarning(`idleTimeout has no effect: ${why}`, 'ListenFdsWarning');
    return false;
  }

  #tookOver(): void {
    this.voice.meetManager();
    if (!this.ready) return;
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

  async openCarrier(reason: StopReason, left: number): Promise<Carrier | null> {
    placeArrived();
    if (reason === 'upgrade') return this.#handOver.carrier();
    // The others are no restart: nobody would read the connections that the manager keeps.
    if ((!isStopSignal(reason) && reason !== 'error') || this.#handOver.isCandidate) return null;
    if (!this.#servers().some(canMove)) return null;
    return openStoreCarrier(left);
  }

  predecessorGone(): Promise<unknown> | null {
    if (this.#arrivals.length === 0) return null;
    return Promise.all(this.#arrivals.map(({ over }) => over)).then(() => placeArrived());
  }

  abandonUpgrade(): Promise<unknown> {
    return this.#handOver.abandon();
  }

  get serves(): boolean {
    return this.#stop.phase !== 'starting';
  }

  get handedOver(): boolean {
    return this.#handOver.done;
  }

  isIdle(): boolean {
    return this.#idle?.isIdle() ?? false;
  }

  end(reason: StopReason): void {
    this.#stop.end(reason);
  }

  crash(error: unknown): void {
    this.#stop.crash(error);
  }

  ended(status: number, left: number): void {
    end(this, status, left);
  }

  release(): void {
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
  }

  async upgrade(options: UpgradeOptions = {}): Promise<UpgradeResult> {
    const result = await this.#handOver.upgrade(options, () => this.#stop.phase);
    endAll('upgrade'); // the successor has the sockets of all
    return result;
  }

  async busy<T>(work: T | PromiseLike<T>): Promise<T> {
    const running = Promise.resolve(work);
    this.busySet.add(running);
    try {
      return await running;
    } finally {
      this.busySet.delete(running);
    }
  }

  drain(): Promise<DrainResult> {
    return this.#stop.drain();
  }

  async close(): Promise<void> {
    await this.#stop.close();
    leave(this);
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
