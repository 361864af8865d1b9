// drain(): let what was accepted end, and nothing new begin.
import type { ServerResponse } from 'node:http';
import type { Http2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { type DrainWatch, gatekeeper, isUpgraded, newestResponse, responseInFlight, sessionOf } from '../admit/gate.js';
import type { Gatekeeper } from '../admit/gate.js';
import { watchFromNow } from '../admit/find-connections.js';
import { schemeOf } from '../listen/frameworks/adapted.js';
import { bindingIfAny } from '../system/addon.js';
import { net } from '../system/builtins.js';
import { descriptorOf } from '../system/node-server.js';
import { ownWorker } from '../system/process-role.js';
import { type TableOf, type Values, badValue, readOptions, span } from '../text/options.js';

/** Options of {@link drain}. */
export interface DrainOptions {
  /**
   * How long what is still open may take until it is destroyed: milliseconds, or a time span such as '10s'.
   * @default 30000
   */
  timeout?: number | string;
  /**
   * How long an idle keep-alive connection is left open, since a request may be on its way: milliseconds, or a time span
   * such as '2s'.
   * @default the server's keepAliveTimeout, 5000 where it has none
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
  /** Still open at the deadline, and cut. */
  readonly destroyed: number;
  /** How long it took, in milliseconds. */
  readonly durationMs: number;
}

/** What the 'draining' event of a server says. */
export interface DrainingEvent {
  /**
   * Connections that only the program can end gracefully: those that left HTTP through an upgrade (WebSockets), and every
   * connection of a server that does not speak HTTP.
   */
  readonly sockets: readonly Socket[];
  /** When what is still open is cut, in milliseconds since the epoch. */
  readonly deadline: number;
}

const defaultGrace = 5_000;
// How long a GOAWAY may take to a client and its last requests back, where it does not answer a PING.
const goawayRoundTrip = 1_000;
// RFC 9113, 6.8: a GOAWAY with the highest stream id announces the end and refuses nothing yet.
const highestStreamId = 2 ** 31 - 1;
const shutdownNotice = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

const speaksHttp = (server: Server): boolean => schemeOf(server) !== null;

let leaving = false;

/**
 * In a cluster worker: the loss of the primary is no longer the end of this process, and no error. It may get the same
 * signal and be gone first.
 */
function leaveCluster(): void {
  const worker = leaving ? null : ownWorker();
  if (!worker) return;
  leaving = true;
  worker.exitedAfterDisconnect = true;
  const lost = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE' && error.code !== 'ERR_IPC_CHANNEL_CLOSED') throw error;
  };
  // Node passes the process's 'error' on to the worker object, where one that nobody listens for is thrown.
  worker.on('error', lost);
  process.on('error' as 'beforeExit', lost as () => void);
}

const drains = new WeakMap<Server, Promise<DrainResult>>();
const closing = new WeakSet<ServerResponse>();

/**
 * Makes a response the last of its connection, unless the client has pipelined another request behind it by the time
 * its head is written. Node writes every head through writeHead(), so this also wins over a `Connection: keep-alive`
 * that a proxy copied from its upstream.
 */
function closeAfter(response: ServerResponse): void {
  if (response.headersSent || closing.has(response)) return;
  closing.add(response);
  const writeHead = response.writeHead;
  const isConnection = (name: unknown): boolean => typeof name === 'string' && name.toLowerCase() === 'connection';
  response.writeHead = function (this: ServerResponse, status: number, ...rest: unknown[]): ServerResponse {
    const last = !this.socket || newestResponse(this.socket) === this;
    if (last) {
      const headers = rest.at(-1);
      if (Array.isArray(headers)) {
        rest[rest.length - 1] = headers.filter((_, i) => !isConnection(headers[i - (i % 2)]));
      } else if (typeof headers === 'object' && headers !== null) {
        rest[rest.length - 1] = Object.fromEntries(Object.entries(headers).filter(([name]) => !isConnection(name)));
      }
      this.shouldKeepAlive = false;
      this.setHeader('Connection', 'close');
    }
    return Reflect.apply(writeHead, this, [status, ...rest]);
  } as typeof writeHead;
}

class Drain implements DrainWatch {
  readonly #server: Server;
  readonly #keeper: Gatekeeper;
  readonly #isHttp: boolean;
  readonly #grace: number;
  readonly #started = performance.now();
  readonly #graces = new Map<Socket, NodeJS.Timeout>();
  #closedIdle = 0;
  #completed = 0;
  #destroyed = 0;
  #closed = false;
  #onlyOthersLeft: (() => void) | null;
  #finish: () => void = () => {};

  constructor(server: Server, grace: number, onlyOthersLeft: (() => void) | null) {
    this.#server = server;
    this.#keeper = gatekeeper(server);
    this.#isHttp = speaksHttp(server);
    this.#grace = grace;
    this.#onlyOthersLeft = onlyOthersLeft;
  }

  async run(timeout: number): Promise<DrainResult> {
    const finished = new Promise<void>((resolve) => (this.#finish = resolve));
    if (!this.#keeper.shared) await acceptQueued(this.#server);
    this.#keeper.draining = this;
    leaveCluster();
    this.#stopAccepting();
    for (const session of this.#keeper.sessions) this.session(session);
    for (const socket of this.#keeper.sockets) this.opened(socket);
    // Connections from before anybody watched this server are known to node:http alone.
    const strangers = setTimeout(() => this.#closeStrangers(), this.#grace);
    const deadline = setTimeout(() => this.#cut(), timeout);
    this.#server.emit('draining', {
      sockets: [...this.#keeper.sockets].filter((socket) => !this.#isHttp || isUpgraded(socket)),
      deadline: Date.now() + timeout,
    } satisfies DrainingEvent);
    this.#check();
    await finished;
    for (const timer of [strangers, deadline, ...this.#graces.values()]) clearTimeout(timer);
    return {
      completed: this.#completed,
      closedIdle: this.#closedIdle,
      destroyed: this.#destroyed,
      durationMs: performance.now() - this.#started,
    };
  }

  /**
   * Closes our descriptor of the listener and nothing else: the close() of node:http and node:http2 also ends idle
   * connections, each Node version others. There is no shutdown(2): the manager goes on listening.
   */
  #stopAccepting(): void {
    if (!this.#server.listening) {
      this.#closed = true;
      return;
    }
    this.#server.once('close', () => {
      this.#closed = true;
      this.#check();
    });
    net.Server.prototype.close.call(this.#server);
  }

  opened(socket: Socket): void {
    if (!this.#isHttp || isUpgraded(socket) || sessionOf(socket)) return;
    const response = responseInFlight(socket);
    if (!response) {
      this.#startGrace(socket);
      return;
    }
    const newest = newestResponse(socket) ?? response;
    closeAfter(response);
    closeAfter(newest);
    this.#graceAfter(newest, socket);
  }

  closed(socket: Socket): void {
    this.#stopGrace(socket);
    this.#completed += 1;
    this.#check();
  }

  request(response: ServerResponse): void {
    closeAfter(response);
    const { socket } = response.req;
    this.#stopGrace(socket);
    this.#graceAfter(response, socket);
  }

  session(session: Http2Session): void {
    if (session.closed || session.destroyed) return;
    const close = (): void => {
      clearTimeout(fallback);
      if (!session.closed && !session.destroyed) session.close();
    };
    const fallback = setTimeout(close, Math.min(goawayRoundTrip, this.#grace));
    const announce = (): void => {
      if (session.closed || session.destroyed) return;
      this.#announceEnd(session);
      // What was sent before the client heard of it arrives before the answer to this PING.
      if (!session.ping(close)) close();
    };
    // The SETTINGS of a new session have to go out first.
    if (session.pendingSettingsAck) session.once('localSettings', announce);
    else announce();
  }

  /**
   * After session.goaway() nghttp2 takes no notice of new streams, also of those that were on their way already: the frame
   * is written past it. Not with TLS, whose handle bears one writer only, and aborts at a second one.
   */
  #announceEnd(session: Http2Session): void {
    // session.socket is a proxy that lets nobody write; what its methods return is the socket itself.
    const socket = session.socket.valueOf() as Socket;
    if (!session.encrypted && this.#keeper.sockets.has(socket)) socket.write(shutdownNotice);
    else session.goaway(0, highestStreamId);
  }

  /** A response whose head was out already said keep-alive: its connection is idle once more when it ends. */
  #graceAfter(response: ServerResponse, socket: Socket): void {
    response.once('close', () => {
      if (!socket.destroyed && !responseInFlight(socket)) this.#startGrace(socket);
    });
  }

  #startGrace(socket: Socket, read = socket.bytesRead): void {
    this.#stopGrace(socket);
    const end = (): void => {
      if (!this.#graces.delete(socket)) return; // a request came with what was read last
      if (isUpgraded(socket) || sessionOf(socket) || responseInFlight(socket) || !this.#keeper.sockets.has(socket))
        return;
      // Part of a request is here: the rest is on its way.
      if (socket.bytesRead > read) {
        this.#startGrace(socket, read);
        return;
      }
      this.#completed -= 1; // closed() counts it as well
      this.#closedIdle += 1;
      socket.destroy();
    };
    // Timers come before what the kernel holds is read, and a busy loop comes late: a request may be waiting there.
    const over = (): void => void setImmediate(end);
    this.#graces.set(socket, setTimeout(over, this.#grace));
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
      // Idle ones come here only where the timeout is not longer than the grace.
      if (this.#graces.has(socket)) this.#closedIdle += 1;
      else this.#destroyed += 1;
      this.#completed -= 1; // closed() counts it as well
    }
    for (const session of sessions) session.destroy();
    for (const socket of sockets) socket.destroy();
    asHttp(this.#server).closeAllConnections?.();
    // A net.Server's connections from before anybody watched it are beyond reach.
    if (sockets.size === 0) this.#finish();
  }

  #check(): void {
    const { sockets } = this.#keeper;
    if (this.#onlyOthersLeft && [...sockets].every((socket) => !this.#isHttp || isUpgraded(socket))) {
      const callback = this.#onlyOthersLeft;
      this.#onlyOthersLeft = null;
      callback();
    }
    if (sockets.size === 0 && this.#closed) this.#finish();
  }
}

// More turns than a full queue of a busy server takes are not waited for: others keep coming.
const mostTurns = 1000;

/**
 * Closing a listener that nobody else holds resets the connections in its queue. They were accepted as far as their
 * clients know, so they are taken first; Node accepts one a turn.
 */
async function acceptQueued(server: Server): Promise<void> {
  const fd = descriptorOf(server);
  const addon = bindingIfAny();
  if (fd === null || !addon) return;
  for (let turn = 0; turn < mostTurns; turn++) {
    const facts = addon.facts(fd);
    if (typeof facts === 'number' || !facts.queued) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function asHttp(server: Server): {
  keepAliveTimeout?: number;
  closeIdleConnections?(): void;
  closeAllConnections?(): void;
} {
  return server as object;
}

/** See entry.ts. `onlyOthersLeft` is called once no HTTP connection is left that could end by itself. */
export function drain(server: Server, options: DrainOptions = {}, onlyOthersLeft?: () => void): Promise<DrainResult> {
  const running = drains.get(server);
  if (running) return running;
  const { timeout, grace: given } = readOptions(drainOptions, options);
  if (typeof (server as { getConnections?: unknown } | null)?.getConnections !== 'function') {
    throw badValue('The server', server, 'a net, tls, http, https or http2 server');
  }
  watchFromNow(server);
  // keepAliveTimeout 0 keeps idle connections for ever, which is no time to wait.
  const grace = given ?? (asHttp(server).keepAliveTimeout || defaultGrace);
  const drained = new Drain(server, Math.min(grace, timeout), onlyOthersLeft ?? null).run(timeout).finally(() => {
    // The server may be put to listening again.
    drains.delete(server);
    gatekeeper(server).draining = null;
  });
  drains.set(server, drained);
  return drained;
}
