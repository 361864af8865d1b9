// How idle HTTP/1 connections of the process before arrive in this one: carrier.ts sends them. They pass the gates of their
// server as new ones do, and are served from the byte on at which the other process stopped reading.
import type { Server, Socket } from 'node:net';
import { gatekeeper, newestResponse, responseInFlight } from '../admit/gate.js';
import { announce } from '../manager/announce.js';
import { carrierName, hasStoredCarriers, takeCarriers } from '../receive/carriers.js';
import { connect, socketFor } from '../sockets/attach.js';
import { sharedBatch } from '../sockets/receive.js';
import { binding } from '../system/addon.js';
import { monotonicNow } from '../system/clock.js';
import { EAGAIN } from '../system/errnos.js';
import { Watcher, readable } from '../system/watcher.js';
import { type Moved, canMove, keepDeadline, serverKey } from './carrier.js';
import { isBetweenRequests } from './store-connections.js';

/** One that has been idle for too long may have sent a request meanwhile: it is read at least that long. Milliseconds. */
const leastIdle = 1_000;

/** Another serve() of this process may come, for which there are connections. Milliseconds. */
const longestWait = 5_000;

/** So many of them in one turn of the event loop. */
const atOnce = 16;

/** The port of a key such as [::]:80. */
const portOf = (key: string): string | undefined => /:(\d+)$/.exec(key)?.[1];

const keys = new WeakMap<Server, string>();

/** One that drains is closed, and goes on under the key it had: the process before may have a connection yet. */
function keyFor(server: Server): string | undefined {
  if (server.listening) keys.set(server, serverKey(server) ?? '');
  else if (!gatekeeper(server).draining) return undefined;
  return keys.get(server);
}

function serverFor(servers: readonly Server[], wanted: string): Server | null {
  const keyed = servers.filter(canMove).flatMap((server) => {
    const key = keyFor(server);
    return key === undefined ? [] : [{ server, key }];
  });
  const port = portOf(wanted);
  const found =
    keyed.find(({ key }) => key === wanted) ?? keyed.find(({ key }) => port !== undefined && portOf(key) === port);
  return found?.server ?? null;
}

interface HttpServer {
  readonly headersTimeout?: number;
}

/** It ends as it would have ended, unless a request comes. */
function endWhenIdle(socket: Socket, left: number): void {
  const timer = setTimeout(() => {
    const idle = newestResponse(socket) === null && responseInFlight(socket) === null && isBetweenRequests(socket);
    if (idle) socket.destroy();
  }, left).unref();
  socket.once('close', () => clearTimeout(timer));
}

function serve(server: Server, fd: number, until: number | null): void {
  const { headersTimeout = 0 } = server as HttpServer;
  const socket = socketFor(server, fd);
  connect(server, socket);
  // node:http measures from now on until the head of a request is whole.
  const most = headersTimeout > 0 ? headersTimeout : Infinity;
  const now = monotonicNow();
  const left = Math.min((until ?? Infinity) - now, most);
  if (socket.destroyed || left === Infinity) return;
  keepDeadline(socket, now + left);
  endWhenIdle(socket, Math.max(leastIdle, left));
}

/** The receiving end. */
export class Arrivals {
  readonly #watcher: Watcher;
  #finish: () => void = () => {};
  /** Resolves when the process before has gone, or has nothing more to send. */
  readonly over: Promise<void> = new Promise((resolve) => (this.#finish = resolve));

  constructor(fd: number) {
    this.#watcher = new Watcher(fd, () => this.#receive());
    this.#watcher.ref(false);
    binding().writeBytes(fd, Buffer.from('expected'));
    this.#receive();
    if (this.#watcher.open) this.#watcher.want(readable);
  }

  #receive(): void {
    const batch = sharedBatch();
    for (;;) {
      const count = batch.receive(this.#watcher, 1 << 16, true);
      if (count === EAGAIN) return;
      if (count <= 0) break;
      const messages = Array.from({ length: count }, (_, i) => ({ text: batch.message(i), fds: batch.fds(i, true) }));
      for (const { text, fds } of messages) if (text.length > 0) this.#arrived(text.toString(), fds);
      if (messages.some(({ text }) => text.length === 0)) break; // the other end is closed
    }
    this.#watcher.close();
    this.#finish();
  }

  #arrived(text: string, fds: readonly number[]): void {
    // Of another version of this package, perhaps.
    const { server = '', until = [] } = JSON.parse(text) as Partial<Moved>;
    incoming.push(...fds.map((fd, i) => ({ fd, server, until: until[i] ?? null })));
    placeSoon();
  }
}

interface Arrived {
  readonly fd: number;
  readonly server: string;
  readonly until: number | null;
}

/** The servers of each service of this process. */
const services = new Set<() => readonly Server[]>();
const arrivals: Arrivals[] = [];
const incoming: Arrived[] = [];
const waiting = new Map<Arrived, NodeJS.Timeout>();
let placing = false;

/** New visitors wait in the queues of the listeners, and are not to wait for all of these. */
function placeSoon(): void {
  if (placing || incoming.length === 0) return;
  placing = true;
  setImmediate(() => {
    placing = false;
    placeArrived(atOnce);
    placeSoon();
  });
}

/** Gives connections that have arrived to their servers; before a drain, all of them. */
export function placeArrived(most = Infinity): void {
  const servers = [...services].flatMap((of) => of());
  for (const arrived of incoming.splice(0, most)) if (!place(arrived, servers)) wait(arrived);
}

/** @returns whether its server listens already */
function place({ fd, server: wanted, until }: Arrived, servers: readonly Server[]): boolean {
  const server = serverFor(servers, wanted);
  if (server) serve(server, fd, until);
  return server !== null;
}

function wait(arrived: Arrived): void {
  const giveUp = (): void => {
    // Nobody listens there any more. For the client it is the end of an idle connection.
    waiting.delete(arrived);
    binding().closeElsewhere(arrived.fd);
  };
  waiting.set(arrived, setTimeout(giveUp, longestWait).unref());
}

/**
 * Takes the connections that the process before has left, with the manager or on its way, and gives it to the service whose it is.
 *
 * @param servers those that listen, asked anew for each arrival
 * @returns the carriers of connections, of all services of this process
 */
export function receiveConnections(servers: () => readonly Server[]): readonly Arrivals[] {
  services.add(servers);
  servers().forEach(keyFor);
  for (const [arrived, timer] of waiting) {
    if (!place(arrived, servers())) continue;
    clearTimeout(timer);
    waiting.delete(arrived);
  }
  // As long as the manager has a copy, connections left in it are nobody's. It drops them when the service ends. A successor
  // has nothing there: the carrier that the process before stores at this moment, for a stop in the middle of the upgrade, has the same name.
  if (hasStoredCarriers()) announce({ fdStoreRemove: true, fdName: carrierName }).catch(() => {});
  const carriers = takeCarriers();
  for (const fd of carriers) arrivals.push(new Arrivals(fd));
  return arrivals;
}

/** A service has ended, and the process goes on. */
export function forgetServers(servers: () => readonly Server[]): void {
  services.delete(servers);
}
