// drain(): let accepted requests end, and no new ones begin.
import type { ServerResponse } from 'node:http';
import type { Http2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import {
  type DrainWatch,
  type Gatekeeper,
  ageOf,
  gatekeeper,
  isUpgraded,
  newestResponse,
  responseInFlight,
  sessionOf,
} from '../admit/gate.js';
import { watchFromNow } from '../admit/find-connections.js';
import { schemeOf } from '../listen/frameworks/adapted.js';
import { holdOpen } from '../sockets/attach.js';
import { type TableOf, type Values, badValue, readOptions, span } from '../text/options.js';
import { type Carrier, canMove, isIdle, mayMove, serverKey } from './carrier.js';
import { type HeldConnection, holdConnection, isBetweenRequests } from './store-connections.js';
import { Deadline } from './deadline.js';
import { sayGoaway } from './goaway.js';
import { endAfter, isEnding } from './last-response.js';
import { acceptQueued, leaveCluster, stopAccepting, stopChecking } from './stop-accepting.js';
import { turns } from './turns.js';

/** Options of {@link drain}. */
export interface DrainOptions {
  /**
   * How long open connections may take until they are destroyed: milliseconds, or a time span such as '10s'.
   * @default 30000
   */
  timeout?: number | string;
  /**
   * How long an idle keep-alive connection is left open, since a request may be on its way: milliseconds, or a time span
   * such as '2s'.
   * @default the server's keepAliveTimeout, but at most 5000
   */
  grace?: number | string;
}

/** The options of drain(). */
export const drainOptions = {
  timeout: { ...span({ zero: true }), default: 30_000 },
  grace: span({ zero: true }),
} satisfies TableOf<DrainOptions>;

/** {@link DrainOptions} in milliseconds. */
export type DrainTimes = Values<typeof drainOptions>;

/** What became of the connections that were open. */
export interface DrainResult {
  /** Ended by themselves, their last request answered. */
  readonly completed: number;
  /** Closed by us after `grace` without a request. */
  readonly closedIdle: number;
  /** Went on to another process, by `child.send()`. */
  readonly moved: number;
  /** Still open at the deadline, and cut. */
  readonly destroyed: number;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
}

/**
 * What the 'draining' event of a server says. It comes when the drain begins, and again for each connection that leaves HTTP
 * while the drain lasts.
 */
export interface DrainingEvent {
  /**
   * Connections that only the program can end gracefully: those that left HTTP through an upgrade (WebSockets), and every
   * connection of a server that does not speak HTTP.
   */
  readonly sockets: readonly Socket[];
  /** When open connections are cut, in milliseconds since the epoch. */
  readonly deadline: number;
}

/** A keepAliveTimeout may be minutes long, and everybody who comes meanwhile waits. */
const longestGrace = 5_000;
/**
 * Who has just connected is about to ask. Only a restart brings its connection to a process that answers: at a stop the manager
 * drops those that it keeps. Milliseconds.
 */
const firstRequestTime = 100;
/** How often connections are looked for that have gone without a word. Milliseconds. */
const pruneInterval = 500;

const speaksHttp = (server: Server): boolean => schemeOf(server) !== null;

const drains = new WeakMap<Server, Promise<DrainResult>>();

/** What a drain that is part of a service's stop is told beside its options. */
export interface DrainParts {
  /** The stop's, in the place of one of its own. */
  readonly deadline?: Deadline;
  /** Called when the listener is closed and 'draining' has been emitted. */
  readonly closing?: () => void;
  /** Called once no HTTP connection is left that could end by itself. */
  readonly onlyOthersLeft?: () => void;
  /** Takes idle HTTP/1 connections over to the next process. */
  readonly carrier?: Carrier | null;
  /** Until then connections may arrive from the process before. It never rejects. */
  readonly arrived?: Promise<unknown> | null;
  /** Called once nothing is waited for but idle connections. */
  readonly onlyIdleLeft?: (connections: number) => void;
  /** Connections that do not speak HTTP have been quiet for long: they are ended, not waited for. */
  readonly endOthers?: boolean;
}

class Drain implements DrainWatch {
  readonly #server: Server;
  readonly #keeper: Gatekeeper;
  readonly #isHttp: boolean;
  readonly #grace: number;
  readonly #deadline: Deadline;
  readonly #endOthers: boolean;
  readonly #closing: () => void;
  readonly #carrier: Carrier | null;
  readonly #key: string | null;
  readonly #leaving = new WeakSet<Socket>();
  /** On which nothing has been asked, for a moment more. */
  readonly #fresh = new Set<Socket>();
  /** Not read from before they move. */
  readonly #held = new Map<Socket, HeldConnection | null>();
  readonly #started = performance.now();
  readonly #graces = new Map<Socket, NodeJS.Timeout>();
  #closedIdle = 0;
  #completed = 0;
  #destroyed = 0;
  #moved = 0;
  #closed = false;
  #failure: { readonly error: unknown } | null = null;
  #onlyOthersLeft: (() => void) | null;
  #onlyIdleLeft: ((connections: number) => void) | null;
  #moving = false;
  /** Until then connections of the process before may come; null once they cannot. */
  #arrived: Promise<unknown> | null;
  #finish: () => void = () => {};

  constructor(server: Server, grace: number, deadline: Deadline, parts: DrainParts) {
    const { closing = () => {}, carrier = null, onlyOthersLeft, onlyIdleLeft, endOthers = false } = parts;
    this.#arrived = parts.arrived ?? null;
    this.#server = server;
    this.#keeper = gatekeeper(server);
    this.#isHttp = speaksHttp(server);
    this.#grace = grace;
    this.#deadline = deadline;
    this.#endOthers = endOthers;
    this.#closing = closing;
    this.#key = serverKey(server);
    this.#carrier = this.#key !== null && canMove(server) ? carrier : null;
    this.#onlyIdleLeft = onlyIdleLeft ?? null;
    this.#onlyOthersLeft = onlyOthersLeft ?? null;
  }

  async run(): Promise<DrainResult> {
    const finished = new Promise<void>((resolve) => (this.#finish = resolve));
    if (!this.#keeper.shared) await acceptQueued(this.#server);
    this.#keeper.draining = this;
    leaveCluster();
    if (this.#arrived) {
      const release = holdOpen(this.#server);
      void this.#arrived.then(() => {
        this.#arrived = null;
        release();
        this.#check();
      });
    }
    stopAccepting(this.#server, () => {
      this.#closed = true;
      this.#check();
    });
    this.#keeper.prune();
    for (const session of this.#keeper.sessions) this.session(session);
    for (const socket of this.#keeper.sockets) this.opened(socket);
    // Connections from before anybody watched this server are known to node:http alone.
    const strangers = setTimeout(() => this.#closeStrangers(), this.#grace);
    const pruning = setInterval(() => this.#keeper.prune(), pruneInterval);
    const forget = this.#deadline.whenOver(() => this.#cut());
    this.#tell([...this.#keeper.sockets].filter((socket) => !this.#isHttp || isUpgraded(socket)));
    this.#closing();
    if (this.#endOthers && !this.#isHttp) for (const socket of this.#keeper.sockets) this.#end(socket);
    this.#check();
    await finished;
    forget();
    clearInterval(pruning);
    for (const timer of [strangers, ...this.#graces.values()]) clearTimeout(timer);
    stopChecking(this.#server);
    if (this.#failure) throw this.#failure.error;
    return {
      completed: this.#completed,
      closedIdle: this.#closedIdle,
      moved: this.#moved,
      destroyed: this.#destroyed,
      durationMs: performance.now() - this.#started,
    };
  }

  /** A listener that throws makes the drain fail at its end; requests in flight are not its fault. */
  #tell(sockets: readonly Socket[]): void {
    try {
      const deadline = Date.now() + this.#deadline.left;
      this.#server.emit('draining', { sockets, deadline } satisfies DrainingEvent);
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  opened(socket: Socket): void {
    if (!this.#isHttp || isUpgraded(socket) || sessionOf(socket)) return;
    const response = responseInFlight(socket);
    if (!response) {
      this.#startGrace(socket);
      return;
    }
    const newest = newestResponse(socket) ?? response;
    this.#endAfter(response);
    this.#endAfter(newest);
    this.#graceAfter(newest, socket);
  }

  closed(socket: Socket, elsewhere: boolean): void {
    this.#stopGrace(socket);
    if (elsewhere || this.#leaving.has(socket)) this.#moved += 1;
    else this.#completed += 1;
    this.#check();
  }

  request(response: ServerResponse): boolean {
    const { socket } = response.req;
    if (isEnding(socket)) return false;
    this.#endAfter(response);
    this.#stopGrace(socket);
    this.#graceAfter(response, socket);
    return true;
  }

  session(session: Http2Session): void {
    sayGoaway(session, this.#keeper, this.#grace);
  }

  upgraded(socket: Socket): void {
    this.#stopGrace(socket);
    this.#tell([socket]);
    this.#check();
  }

  /** The last one of its connection says so, unless the connection is going to move. */
  #endAfter(response: ServerResponse): void {
    endAfter(response, () => this.#carrier !== null && mayMove(response.req.socket));
  }

  /**
   * Moves idle connections, at the end of this turn: several at once go in one message. Until then nothing is read: the next
   * request of the same client would make everybody wait for one more.
   */
  #moveIdle(socket: Socket): void {
    if (this.#carrier === null) return;
    this.#fresh.delete(socket);
    if (!this.#held.has(socket) && isIdle(socket)) this.#held.set(socket, holdConnection(socket));
    if (this.#moving) return;
    this.#moving = true;
    setImmediate(() => {
      this.#moving = false;
      const sockets = [...this.#graces.keys()].filter((one) => !this.#fresh.has(one));
      for (const one of sockets) this.#leaving.add(one);
      const gone = new Set(this.#carrier!.move(this.#key!, sockets));
      for (const one of sockets) if (!gone.has(one)) this.#leaving.delete(one);
      for (const [one, held] of this.#held) if (!gone.has(one)) held?.resume();
      this.#held.clear();
    });
  }

  /** A response whose head was out already said keep-alive: its connection is idle once more when it ends. */
  #graceAfter(response: ServerResponse, socket: Socket): void {
    response.once('close', () => {
      if (socket.destroyed || responseInFlight(socket)) return;
      this.#startGrace(socket);
      // A request that was answered before all of it was here.
      const { req } = response;
      if (!req.complete) req.once('close', () => this.#moveIdle(socket));
    });
  }

  #startGrace(socket: Socket): void {
    this.#stopGrace(socket);
    const end = (): void => {
      if (this.#graces.get(socket) !== timer) return; // a request came with the last read
      this.#graces.delete(socket);
      if (isUpgraded(socket) || sessionOf(socket) || responseInFlight(socket) || !this.#keeper.sockets.has(socket))
        return;
      // Part of a request is here: the rest is on its way.
      if (isBetweenRequests(socket)) this.#closeIdle(socket);
      else this.#startGrace(socket);
    };
    // Timers come before data in the kernel is read, and a busy loop comes late: a request may be waiting there.
    const over = (): void => void setImmediate(end);
    const timer = setTimeout(over, this.#grace);
    this.#graces.set(socket, timer);
    if (newestResponse(socket) !== null) {
      this.#moveIdle(socket);
      return;
    }
    this.#fresh.add(socket);
    const fresh = Math.max(0, firstRequestTime - ageOf(socket));
    // An event loop that was busy has accepted a connection, and not yet read its request.
    setTimeout(() => void turns().then(() => this.#moveIdle(socket)), fresh).unref();
  }

  #closeIdle(socket: Socket): void {
    if (socket.destroyed) return; // cut in between, and counted there
    this.#completed -= 1; // closed() counts it as well
    this.#closedIdle += 1;
    socket.destroy();
  }

  /** For a connection that does not speak HTTP and has been quiet: says that it is over, and waits for no answer. */
  #end(socket: Socket): void {
    socket.end();
    this.#graces.set(
      socket,
      setTimeout(() => this.#closeIdle(socket), this.#grace),
    );
  }

  #stopGrace(socket: Socket): void {
    clearTimeout(this.#graces.get(socket));
    this.#graces.delete(socket);
  }

  #closeStrangers(): void {
    this.#server.getConnections((_, connections) => {
      if (connections > this.#keeper.sockets.size) asHttp(this.#server).closeIdleConnections?.();
    });
  }

  #cut(): void {
    const { sockets, sessions } = this.#keeper;
    for (const socket of sockets) {
      if (socket.destroyed) continue; // counted, and about to close
      // Idle ones come here only if the timeout is not longer than the grace.
      if (this.#graces.has(socket)) this.#closedIdle += 1;
      else this.#destroyed += 1;
      this.#completed -= 1; // closed() counts it as well
    }
    for (const session of sessions) session.destroy();
    for (const socket of sockets) socket.destroy();
    asHttp(this.#server).closeAllConnections?.();
    this.#arrived = null;
    // A net.Server's connections from before anybody watched it are beyond reach, and not waited for.
    this.#closed = true;
    this.#check();
  }

  /** Asked at each close: one connection that can is enough, so that the rest need not be looked at. */
  #canEndByItself(): boolean {
    if (this.#arrived) return true;
    if (!this.#isHttp) return false;
    for (const socket of this.#keeper.sockets) if (!isUpgraded(socket)) return true;
    return false;
  }

  #check(): void {
    const { sockets } = this.#keeper;
    if (this.#onlyOthersLeft && !this.#canEndByItself()) {
      const callback = this.#onlyOthersLeft;
      this.#onlyOthersLeft = null;
      callback();
    }
    if (this.#onlyIdleLeft && sockets.size > 0 && sockets.size === this.#graces.size && !this.#moving) {
      this.#onlyIdleLeft(sockets.size);
      this.#onlyIdleLeft = null;
    }
    if (sockets.size === 0 && this.#closed) this.#finish();
  }
}

function asHttp(server: Server): {
  keepAliveTimeout?: number;
  closeIdleConnections?(): void;
  closeAllConnections?(): void;
} {
  return server as object;
}

/** See entry.ts. */
export function drain(server: Server, options: DrainOptions = {}, parts: DrainParts = {}): Promise<DrainResult> {
  const running = drains.get(server);
  if (running) return running;
  const { timeout, grace: given } = readOptions(drainOptions, options);
  if (typeof (server as { getConnections?: unknown } | null)?.getConnections !== 'function') {
    throw badValue('The server', server, 'a net, tls, http, https or http2 server');
  }
  watchFromNow(server);
  // keepAliveTimeout 0 keeps idle connections for ever, and nobody can wait so long.
  const grace = given ?? Math.min(asHttp(server).keepAliveTimeout || longestGrace, longestGrace);
  const deadline = parts.deadline ?? new Deadline(timeout);
  const drained = new Drain(server, Math.min(grace, timeout), deadline, parts).run().finally(() => {
    // The server may be put to listening again.
    drains.delete(server);
    gatekeeper(server).draining = null;
  });
  drains.set(server, drained);
  return drained;
}
