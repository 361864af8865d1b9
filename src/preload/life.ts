// The life of a program that does not look after it itself: READY=1 when it listens on the sockets that were passed, a drain at
// SIGTERM, idle exit and the watchdog. Whatever the program does of this, it goes on doing.
import type { Worker } from 'node:cluster';
import type { Server } from 'node:net';
import { type Gatekeeper, gatekeeper } from '../admit/gate.js';
import { startWatchdog } from '../manager/watchdog.js';
import type { Listener } from '../lend/redirect.js';
import { workersHere } from '../lend/to-workers.js';
import { hasCarriers } from '../receive/carriers.js';
import { Deadline, idleExitGrace } from '../service/deadline.js';
import { Voice } from '../service/voice.js';
import { isClusterWorker, mayBePrimary } from '../system/process-role.js';
import { markHandler } from '../system/own-handlers.js';
import { readAhead, willNeed } from '../system/read-ahead.js';
import { replaceMethod } from '../system/replace.js';
import { formatAddress } from '../text/address.js';
import { readVariable } from '../text/variables.js';

export interface LifeOptions {
  /** LISTENFDS_IDLE_TIMEOUT, in milliseconds. */
  readonly idleTimeout: number | null;
  /** LISTENFDS_DRAIN_TIMEOUT, in milliseconds. */
  readonly drainTimeout: number;
  /** LISTENFDS_DRAIN=first: drain before handlers of the program's own. */
  readonly drainFirst: boolean;
}

/** @throws ListenFdsError LISTENFDS_BAD_ENVIRONMENT, naming the variable */
export function lifeOptions(env: NodeJS.ProcessEnv): LifeOptions {
  return {
    idleTimeout: readVariable('LISTENFDS_IDLE_TIMEOUT', env),
    drainTimeout: readVariable('LISTENFDS_DRAIN_TIMEOUT', env),
    drainFirst: readVariable('LISTENFDS_DRAIN', env) === 'first',
  };
}

const service = (): Promise<typeof import('../service/room.js')> => import('../service/room.js');
const lending = (): Promise<typeof import('../lend/room.js')> => import('../lend/room.js');
willNeed(async () => {
  await service();
  if (mayBePrimary()) await lending();
});

/** A server's way if listen(2) is forbidden. As after every listen(), it listens at once for those who close it. */
export const acceptLater: NonNullable<Listener['accept']> = (server, loan, address, signal) => {
  const holder = server as { _handle?: object | null };
  const nothing = (): void => {};
  const standIn = (holder._handle = { close: loan.giveBack, ref: nothing, unref: nothing });
  const accepting = service().then(({ acceptInherited }) => {
    if (holder._handle === standIn) acceptInherited(server, loan, address, signal);
  });
  accepting.catch((error: unknown) => {
    loan.giveBack();
    holder._handle = null;
    server.emit('error', error);
  });
};

/**
 * How many SIGTERM listeners belong to signal-exit, which many packages use: it cleans up, and ends the process only
 * if nobody else listens. Version 4 and, after it, version 3.
 */
function signalExitListeners(): number {
  const { __signal_exit_emitter__: three, [Symbol.for('signal-exit emitter')]: four } = process as unknown as Record<
    string | symbol,
    { count?: number } | undefined
  >;
  return (three?.count ?? 0) + (four?.count ?? 0);
}

// Messages whose cmd begins with NODE_ are not shown to the program.
const drainMessage = { cmd: 'NODE_LISTENFDS_DRAIN' };
const drainingMessage = { cmd: 'NODE_LISTENFDS_DRAINING' };

/** A manager signals the workers too, or does not: a second signal would cut their drain short. Milliseconds. */
const signalMargin = 200;

/** A worker without the preload does not answer. Milliseconds. */
const answerTime = 1000;

/** A worker that begins to drain later than its primary ends later. Milliseconds. */
const workerMargin = 1000;

/** One stop that comes twice: npm forwards the signal that its group got already. Milliseconds. */
const echo = 1000;

function askToEnd(worker: Worker): void {
  const unanswered = setTimeout(() => worker.process.kill('SIGTERM'), answerTime);
  const answered = (): void => clearTimeout(unanswered);
  worker.once('exit', answered);
  worker.process.on('internalMessage' as 'message', (message) => {
    if ((message as { cmd?: string }).cmd === drainingMessage.cmd) answered();
  });
  if (worker.isConnected()) worker.process.send(drainMessage, () => {});
}

/** In a worker: the primary ends, and wants the same as a SIGTERM. */
function obeyPrimary(signalled: () => boolean): void {
  process.on('internalMessage' as 'message', (message) => {
    if ((message as { cmd?: string }).cmd !== drainMessage.cmd) return;
    if (process.connected) process.send!(drainingMessage, undefined, {}, () => {});
    setTimeout(() => {
      if (!signalled()) process.kill(process.pid, 'SIGTERM');
    }, signalMargin);
  });
}

/** A close() of the program's own would fail on a server that is closed, and some handlers then wait for ever. */
function answerClose(server: Server): void {
  if (server.listening) return;
  replaceMethod(server, 'close', (callback?: unknown): Server => {
    if (typeof callback === 'function') process.nextTick(callback as () => void);
    return server;
  });
}

export class Life {
  readonly #options: LifeOptions;
  readonly #voice = new Voice();
  /** Every server that listens, and whether on a socket that was passed. */
  readonly #servers = new Map<Server, boolean>();
  readonly #keepers: Gatekeeper[] = [];
  readonly #onTerminate = markHandler((): void => this.#terminate());
  #ready = false;
  /** When the first signal came. */
  #signalled: number | null = null;
  #ending = false;
  #toldNoIdleExit = false;

  constructor(options: LifeOptions) {
    this.#options = options;
    if (options.drainFirst) this.#drainFirst();
    process.on('SIGTERM', this.#onTerminate);
    process.on('removeListener', (event) => this.#removed(event));
    if (isClusterWorker()) obeyPrimary(() => this.#signalled !== null);
  }

  opened(server: Server, lent: boolean): void {
    readAhead();
    this.#servers.set(server, lent);
    const keeper = gatekeeper(server);
    // Others listen on it as well: its queue is not ours alone to accept.
    if (lent || isClusterWorker()) keeper.shared = true;
    if (!this.#keepers.includes(keeper)) this.#keepers.push(keeper);
  }

  closed(server: Server): void {
    this.#servers.delete(server);
  }

  /** Everything that was passed is listened on. */
  ready(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#voice.tell({ ready: true });
    startWatchdog();
    if (this.#options.idleTimeout !== null) this.#watchIdle(this.#options.idleTimeout);
    if (hasCarriers()) void service().then((room) => room.receiveConnections(() => [...this.#servers.keys()]));
  }

  #watchIdle(timeout: number): void {
    const leave = (): void => {
      const own = this.#serversBy(false).map((server) => formatAddress(server.address()));
      if (own.length > 0) this.#tellNoIdleExit(own);
      else if (!this.#ending) this.#end('idle');
    };
    void service().then(({ watchIdle }) => watchIdle(this.#keepers, timeout, leave));
  }

  #serversBy(lent: boolean): Server[] {
    return [...this.#servers].filter(([, isLent]) => isLent === lent).map(([server]) => server);
  }

  /** Nobody keeps the sockets that the program has bound itself while it is away. */
  #tellNoIdleExit(own: readonly string[]): void {
    if (this.#toldNoIdleExit) return;
    this.#toldNoIdleExit = true;
    process.emitWarning(
      `LISTENFDS_IDLE_TIMEOUT has no effect while the program listens on ${own.join(' and ')} itself: ` +
        'nobody would keep that socket while it is away',
      'ListenFdsWarning',
    );
  }

  /** Whether somebody beside us and signal-exit waits for the signal. */
  #isAwaited(): boolean {
    return process.listenerCount('SIGTERM') - 1 - signalExitListeners() > 0;
  }

  #isEcho(): boolean {
    const now = performance.now();
    this.#signalled ??= now;
    return this.#ending && now - this.#signalled <= echo;
  }

  #terminate(): void {
    if (this.#isEcho()) return;
    if (!this.#ending && this.#isAwaited()) return;
    if (!this.#ending && this.#serves()) {
      this.#end(); // we stay a listener: signal-exit must not find itself alone
      return;
    }
    // The second signal, and one that comes before anything listens, acts as it would have without us.
    process.off('SIGTERM', this.#onTerminate);
    process.kill(process.pid, 'SIGTERM');
  }

  /**
   * A program that has its handler, takes it away and sends itself the signal again means to die by it: nobody must be left
   * who catches that.
   */
  #removed(event: string | symbol): void {
    if (event !== 'SIGTERM' || this.#signalled === null || this.#ending || this.#isAwaited()) return;
    process.off('SIGTERM', this.#onTerminate);
  }

  #serves(): boolean {
    return this.#servers.size > 0 || (mayBePrimary() && workersHere().length > 0);
  }

  /**
   * The program's own handlers, many of which exit at once, hear of the signal when all is drained; a second signal
   * reaches them directly. Node binds process.emit() when the first listener comes, so this is done before that.
   */
  #drainFirst(): void {
    const { emit } = process;
    process.emit = ((event: string, ...args: unknown[]): boolean => {
      if (event === 'SIGTERM' && this.#isAwaited()) {
        if (this.#isEcho()) return true;
        if (this.#ending) process.off('SIGTERM', this.#onTerminate);
        else if (this.#serves()) {
          const servers = [...this.#servers.keys()];
          const resume = (): void => {
            servers.forEach(answerClose);
            process.off('SIGTERM', this.#onTerminate);
            Reflect.apply(emit, process, [event, ...args]);
          };
          this.#drain().then(resume, resume);
          return true;
        }
      }
      return Reflect.apply(emit, process, [event, ...args]) as boolean;
    }) as typeof emit;
  }

  #end(reason?: 'idle'): void {
    this.#drain(reason === 'idle').then(
      () => process.exit(0),
      (error: unknown) => {
        console.error('The service did not end cleanly:', error);
        process.exit(1);
      },
    );
  }

  async #drain(endOthers = false): Promise<void> {
    this.#ending = true;
    const timeout = this.#options.drainTimeout;
    const deadline = new Deadline(timeout);
    const left = (): number => deadline.leftWith(workerMargin);
    this.#voice.tellStopping(left);
    const workers = mayBePrimary() ? lending().then(({ endWorkers }) => endWorkers(left, askToEnd)) : null;
    const { drain, openStoreCarrier, placeArrived } = await service();
    placeArrived();
    // After an idle exit nobody would read the connections that the manager keeps.
    const carrier = endOthers || this.#servers.size === 0 ? null : await openStoreCarrier(deadline.left);
    const options = endOthers ? { timeout, grace: idleExitGrace } : { timeout };
    const drains = (servers: readonly Server[]): Promise<unknown>[] =>
      servers.map((server) => drain(server, options, { deadline, carrier, endOthers }));
    const results = await Promise.allSettled([...drains(this.#serversBy(true)), workers]);
    // The program's own may be behind those that were lent: a request that is in flight through a proxy needs both.
    results.push(...(await Promise.allSettled(drains(this.#serversBy(false)))));
    carrier?.close();
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}
