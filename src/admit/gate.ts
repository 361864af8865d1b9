// Who gets in and who is there: every new connection of a server passes its gates before a byte is read, is counted, and
// is remembered until it closes, for drain, idle exit and STATUS=.
import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2Session, Http2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { bindingIfAny } from '../system/addon.js';
import { monotonicNow } from '../system/clock.js';
import { descriptorOf, handleOf, isPipe } from '../system/node-server.js';
import { replaceMethod } from '../system/replace.js';
import type { PeerCredentials } from './peer.js';

/** Why a connection or message is refused, if more than words are known. */
export interface Refusal {
  readonly reason: string;
  /** The client; null if it is not known. */
  readonly credentials: (Pick<PeerCredentials, 'pid' | 'uid' | 'gid'> & Partial<PeerCredentials>) | null;
}

/** Why a connection is refused, in a few words, or null to let it in. Must answer at once. */
export type Gate = (socket: Socket) => string | Refusal | null;

/** Connections of one server since listen(), serve() or drain() first saw it. */
export interface ConnectionStats {
  /** Let in. */
  readonly accepted: number;
  /** Open now. */
  readonly active: number;
  /** Turned away by a limit, an address list or an authorisation rule. */
  readonly refused: number;
  /** How many of them by what: `authorize`, `allow`, `deny`, `maxConnections`, `maxConnectionsPerSource`. */
  readonly refusedBy: Readonly<Record<string, number>>;
}

/** The message of the diagnostics channel `listenfds:refused`. */
export interface RefusedMessage {
  /** The server, or the datagram socket. */
  readonly server: EventEmitter;
  /** The connection, destroyed by now; null for a datagram. */
  readonly socket: Socket | null;
  /** Why, in words; it begins with the check that refused, as in {@link ConnectionStats.refusedBy}, and a colon. */
  readonly reason: string;
  /** How many that server, or socket, has refused for that so far, this one included. */
  readonly count: number;
  /** Of authorisation rules only. */
  readonly credentials?: Refusal['credentials'];
}

/** Marks on a socket, which another copy of the package reads as well: a server has one gatekeeper. */
const lastResponse: unique symbol = Symbol.for('listenfds.lastResponse');
const upgraded: unique symbol = Symbol.for('listenfds.upgraded');
const http2Session: unique symbol = Symbol.for('listenfds.http2Session');
const openedAt: unique symbol = Symbol.for('listenfds.openedAt');

/** An event of a connection that does not belong to this process any more: it has closed, or was sent to another process. */
export const gone: unique symbol = Symbol.for('listenfds.gone');

interface Marked {
  /** The response to the newest request: with pipelining the one after which the connection may end. */
  [lastResponse]?: ServerResponse;
  [upgraded]?: boolean;
  [http2Session]?: Http2Session;
  [openedAt]?: number;
}

/** A socket as node:http leaves it: the response being written, or null between requests. */
interface HttpSocket extends Socket, Marked {
  readonly _httpMessage?: ServerResponse | null;
}

export function responseInFlight(socket: Socket): ServerResponse | null {
  return (socket as HttpSocket)._httpMessage ?? null;
}

export function newestResponse(socket: Socket): ServerResponse | null {
  return (socket as HttpSocket)[lastResponse] ?? null;
}

export function sessionOf(socket: Socket): Http2Session | null {
  return (socket as HttpSocket)[http2Session] ?? null;
}

/** How long it has been open here. Milliseconds. */
export const ageOf = (socket: Socket): number => monotonicNow() - ((socket as HttpSocket)[openedAt] ?? -Infinity);

export function isUpgraded(socket: Socket): boolean {
  return (socket as HttpSocket)[upgraded] === true;
}

/** The events that a drain waits for. */
export interface DrainWatch {
  /** @returns whether the program is to hear of the request */
  request(response: ServerResponse): boolean;
  session(session: Http2Session): void;
  /** A connection leaves HTTP; the program has just got it. */
  upgraded(socket: Socket): void;
  /** A connection came into view: accepted just before, or through with its TLS handshake. */
  opened(socket: Socket): void;
  /** @param elsewhere it is not closed: another process has it now */
  closed(socket: Socket, elsewhere: boolean): void;
}

/** A connection that was sent to another process has lost its handle without having closed. */
const isElsewhere = (socket: Socket): boolean => !socket.destroyed && !socket.connecting && handleOf(socket) === null;

/** The last close of a refused connection closes descriptors that it has sent, and that can stand still. */
function refuse(socket: Socket): void {
  const fd = descriptorOf(socket);
  const addon = fd !== null && isPipe(socket) ? bindingIfAny() : null;
  const copy = addon?.duplicate(fd!) ?? -1;
  if (copy >= 0) socket.once('close', () => addon!.closeElsewhere(copy));
  socket.destroy();
}

/** Every reason begins with the name of the check that refused. */
export function countRefusal(by: Record<string, number>, reason: string): number {
  const name = reason.slice(0, reason.indexOf(':'));
  return (by[name] = (by[name] ?? 0) + 1);
}

export function publishRefusal(message: RefusedMessage): void {
  const channel = process.getBuiltinModule('node:diagnostics_channel').channel('listenfds:refused');
  if (channel.hasSubscribers) channel.publish(message);
}

class Gatekeeper implements ConnectionStats {
  accepted = 0;
  refused = 0;
  readonly refusedBy: Record<string, number> = {};
  readonly gates: Gate[] = [];
  /** Open connections; a TLS connection is its TLSSocket once the handshake is done. */
  readonly sockets = new Set<Socket>();
  readonly sessions = new Set<Http2Session>();
  /** HTTP/2 streams that are open. */
  streams = 0;
  /** HTTP/2 streams so far. */
  streamed = 0;
  draining: DrainWatch | null = null;
  /** The listener belongs to the manager as well: connections in its queue when we close it are somebody else's to accept. */
  shared = false;
  /** A successor has the listener: its path is not ours to unlink any more. */
  handedOver = false;
  /** Called when a count has changed. */
  onChange: (() => void) | null = null;
  /** Called with each refusal. */
  onRefused: ((reason: string) => void) | null = null;

  get active(): number {
    this.prune();
    return this.sockets.size;
  }

  /** Whether that many connections are open. */
  holds(most: number): boolean {
    return this.sockets.size >= most && this.active >= most;
  }

  /** `child.send(message, socket)` takes the handle away, and Node says nothing. */
  prune(): void {
    for (const socket of this.sockets) if (isElsewhere(socket)) this.#gone(socket, true);
  }

  /** Whether the connection may go on to the server's own listeners. */
  admit(server: EventEmitter, socket: Socket): boolean {
    for (const gate of this.gates) {
      const refusal = gate(socket);
      if (refusal === null) continue;
      this.refused += 1;
      refuse(socket);
      const why = typeof refusal === 'string' ? { reason: refusal } : refusal;
      const count = countRefusal(this.refusedBy, why.reason);
      publishRefusal({ server, socket, ...why, count });
      this.onRefused?.(why.reason);
      this.onChange?.();
      return false;
    }
    this.accepted += 1;
    this.#add(socket);
    return true;
  }

  #add(socket: Socket): void {
    if (socket.closed) return; // it would never say so again, and a drain would wait for that
    this.sockets.add(socket);
    (socket as HttpSocket)[openedAt] = monotonicNow();
    socket.once('close', () => this.#gone(socket, false));
    this.draining?.opened(socket);
    this.onChange?.();
  }

  #gone(socket: Socket, elsewhere: boolean): void {
    (socket as EventEmitter).emit(gone);
    if (!this.sockets.delete(socket)) return;
    this.draining?.closed(socket, elsewhere);
    this.onChange?.();
  }

  secured(socket: Socket): void {
    const { _parent: raw } = socket as { _parent?: Socket };
    if (raw) this.sockets.delete(raw);
    this.#add(socket);
  }

  /** A connection from before anybody watched the server. */
  found(socket: Socket, hasLeftHttp: boolean): void {
    this.#add(socket);
    const marked = socket as HttpSocket;
    if (hasLeftHttp) marked[upgraded] = true;
    else if (marked._httpMessage) marked[lastResponse] = marked._httpMessage;
  }

  /** @returns whether the program is to hear of it */
  requested(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.httpVersionMajor > 1) return true; // HTTP/2 through its compatibility API: sessions and streams are counted
    if (!request.socket) return true; // an imitation, as adapters and tests emit it
    (request.socket as HttpSocket)[lastResponse] = response;
    return this.draining?.request(response) ?? true;
  }

  opened(session: Http2Session): void {
    this.sessions.add(session);
    // session.socket is a proxy that is never equal to the socket, but passes properties set on it through.
    (session.socket as unknown as Marked)[http2Session] = session;
    session.once('close', () => this.sessions.delete(session));
    this.draining?.session(session);
  }

  streaming(stream: Http2Stream): void {
    this.streams += 1;
    this.streamed += 1;
    stream.once('close', () => (this.streams -= 1));
  }

  /** @returns whether the server's own listeners are to hear of it */
  event(server: EventEmitter, event: string | symbol, first: unknown, second: unknown): boolean {
    switch (event) {
      case 'checkContinue':
      case 'checkExpectation':
        return this.requested(first as IncomingMessage, second as ServerResponse);
      case 'connection':
        return this.admit(server, first as Socket);
      case 'secureConnection':
        this.secured(first as Socket);
        break;
      case 'upgrade':
      case 'connect':
        if (second) (second as HttpSocket)[upgraded] = true;
        break;
      case 'session':
        this.opened(first as Http2Session);
        break;
      case 'stream':
        this.streaming(first as Http2Stream);
        break;
    }
    return true;
  }

  /** The server's own listeners have heard of it. */
  heard(event: string | symbol, first: unknown, second: unknown): void {
    if (event === 'connection') {
      if (isElsewhere(first as Socket)) this.#gone(first as Socket, true);
    } else if ((event === 'upgrade' || event === 'connect') && second) this.draining?.upgraded(second as Socket);
  }
}

// Shared by two copies of the package: a server has one gatekeeper.
const key = Symbol.for('listenfds.gatekeeper');

/** Whether the server has a gatekeeper, and so no connection is unknown. */
export const isWatched = (server: EventEmitter): boolean => key in server;

/**
 * The gatekeeper of a server, put in place on first use. It stands before the events that net, http, https, tls and
 * http2 servers emit. 'connection' comes in the same tick as accept(2), when libuv has read nothing yet.
 */
export function gatekeeper(server: Server | EventEmitter): Gatekeeper {
  const holder = server as EventEmitter & { [key]?: Gatekeeper };
  const existing = holder[key];
  if (existing) return existing;
  const keeper = new Gatekeeper();
  Object.defineProperty(holder, key, { value: keeper });
  const emit: (event: string | symbol, ...args: unknown[]) => boolean = server.emit;
  replaceMethod(server, 'emit', function (this: EventEmitter, event: string | symbol, ...args: unknown[]) {
    // An event without its arguments is not about a connection.
    if (!args[0]) return emit.call(this, event, ...args);
    if (event === 'request') {
      const wanted = keeper.requested(args[0] as IncomingMessage, args[1] as ServerResponse);
      return !wanted || emit.call(this, event, ...args);
    }
    if (!keeper.event(server, event, args[0], args[1])) return true;
    const heard = emit.call(this, event, ...args);
    keeper.heard(event, args[0], args[1]);
    return heard;
  });
  return keeper;
}

export type { Gatekeeper };
