// How idle HTTP/1 connections leave this process: each as a descriptor in a message to a pair of sockets, whose other end
// the next process reads. Over a restart the manager keeps that end: one descriptor for any number of connections. An upgrade
// passes it to the successor.
//
// A message is JSON: the address of the server, and for each descriptor, in order, until when it may stay idle. It is short: the
// buffer of the socket has to hold all of them until the next start.
import type { Server, Socket } from 'node:net';
import { isUpgraded, newestResponse, responseInFlight, sessionOf } from '../admit/gate.js';
import { schemeOf } from '../listen/frameworks/adapted.js';
import { announce } from '../manager/announce.js';
import { notifyBarrier } from '../manager/barrier.js';
import { carrierName } from '../receive/carriers.js';
import { binding, bindingIfAny } from '../system/addon.js';
import { net } from '../system/builtins.js';
import { monotonicNow } from '../system/clock.js';
import { isClusterWorker } from '../system/process-role.js';
import { formatAddress } from '../text/address.js';
import { maxMessageFds } from '../text/notify-state.js';
import { Deadline } from './deadline.js';
import { holdConnection, isBetweenRequests } from './store-connections.js';

/** What is said of the connections in a message. */
export interface Moved {
  /** Where their server listened, as formatAddress() says it. */
  readonly server: string;
  /** For each when it has been idle for too long, by monotonicNow(); null if its server sets no limit. */
  readonly until: readonly (number | null)[];
}

/** Of connections that came from another process: until when they may be idle. The next process is to know, too. */
const deadlines = new WeakMap<Socket, number>();

/** For a connection that has arrived, and on which nothing has been answered here. */
export function keepDeadline(socket: Socket, until: number): void {
  deadlines.set(socket, until);
}

/** A manager that has not acknowledged within that time keeps nothing. Milliseconds. */
const proofTime = 2_000;

/** The key of a server, as long as it listens. */
export function serverKey(server: Server): string | null {
  const address = server.address();
  return address === null ? null : formatAddress(address);
}

/** Whether connections of this server can move at all: those that are encrypted, or not HTTP, cannot. */
export const canMove = (server: Server): boolean => schemeOf(server) === 'http' && !('updateSettings' in server);

/** Whether this connection could, once it is idle. */
export function mayMove(socket: Socket): boolean {
  return socket instanceof net.Socket && !('encrypted' in socket) && !isUpgraded(socket) && !sessionOf(socket);
}

/** Whether it is idle, and could move now. */
export const isIdle = (socket: Socket): boolean =>
  mayMove(socket) && responseInFlight(socket) === null && isBetweenRequests(socket);

interface NodeTimer {
  readonly _idleStart: number;
  readonly _idleTimeout: number;
}

/** When it will have been idle for too long. */
function idleUntil(socket: Socket): number | null {
  const kept = newestResponse(socket) === null ? deadlines.get(socket) : undefined;
  if (kept !== undefined) return kept;
  const left = idleTimeLeft(socket);
  return left === null ? null : monotonicNow() + left;
}

/** node:http gives an idle connection its keepAliveTimeout; of that, the rest. Node.js has no call that tells. */
function idleTimeLeft(socket: Socket): number | null {
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'timeout');
  const timer = key && (socket as unknown as Record<symbol, Partial<NodeTimer> | null>)[key];
  if (!timer || !((timer._idleTimeout ?? 0) > 0)) return null;
  const now = setTimeout(() => {}, 0);
  clearTimeout(now);
  const passed = (now as unknown as NodeTimer)._idleStart - timer._idleStart!;
  return Number.isFinite(passed) ? Math.max(0, timer._idleTimeout! - passed) : timer._idleTimeout!;
}

/** The sending end. */
export class Carrier {
  readonly #fd: number;
  #open = true;
  #expected = false;
  /** How many services of this process use it: the last one closes it. */
  #users = 0;

  /** @param fd the sending end, which is ours to close */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** @returns the connections that are gone from here */
  move(server: string, sockets: readonly Socket[]): Socket[] {
    const moved: Socket[] = [];
    const idle = sockets.filter(isIdle);
    for (let first = 0; this.#open && first < idle.length; first += maxMessageFds) {
      const part = this.#send(server, idle.slice(first, first + maxMessageFds));
      if (part === null) break; // it is full, or nobody has the other end any more
      moved.push(...part);
    }
    return moved;
  }

  #send(server: string, sockets: readonly Socket[]): Socket[] | null {
    const held = sockets.flatMap((socket) => {
      const until = idleUntil(socket);
      const connection = holdConnection(socket);
      return connection ? [{ socket, connection, until }] : [];
    });
    if (held.length === 0) return [];
    const said: Moved = { server, until: held.map(({ until }) => until) };
    const text = Buffer.from(JSON.stringify(said));
    const fds = Int32Array.from(held, ({ connection }) => connection.fd);
    const sent = binding().sendMessage(this.#fd, text, null, fds);
    for (const { connection } of held) {
      if (sent < 0) connection.resume();
      else connection.leave();
    }
    return sent < 0 ? null : held.map(({ socket }) => socket);
  }

  /** Whether somebody has the other end. */
  get isHeld(): boolean {
    return this.#open && binding().readBytes(this.#fd, Buffer.alloc(64)) !== 0;
  }

  /** Whether the other end has said that it will read. */
  get isExpected(): boolean {
    this.#expected ||= this.#open && binding().readBytes(this.#fd, Buffer.alloc(64)) > 0;
    return this.#open && this.#expected;
  }

  /** For a service of this process, which closes it when it has ended. */
  share(): Carrier {
    this.#users += 1;
    return this;
  }

  close(): void {
    this.#users -= 1;
    if (this.#users > 0 || !this.#open) return;
    binding().closeFd(this.#fd);
    this.#open = false;
  }
}

/** Both ends: one for us, one to pass on and to close here. Null if the addon is missing or the process has no room. */
export function openPair(): { carrier: Carrier; far: number } | null {
  const ends = bindingIfAny()?.socketPair();
  if (ends === undefined || typeof ends === 'number') return null;
  const [near, far] = ends;
  // The kernel gives as much as net.core.wmem_max allows.
  binding().setSocketOption(near, 'SendBuffer', 1 << 22);
  return { carrier: new Carrier(near), far };
}

/**
 * Leaves the other end with the service manager, and finds out whether it is kept: over FileDescriptorStoreMax=, which is 0
 * by default, a manager drops a descriptor and tells nobody. Then the last copy is closed, which shows here.
 *
 * @param left milliseconds until the end of the stop, most of which is for those who are in flight
 * @returns null if nothing is kept: connections stay here then
 */
export async function openStoreCarrier(left: number): Promise<Carrier | null> {
  if (!process.env['NOTIFY_SOCKET'] || isClusterWorker()) return null;
  const pair = openPair();
  if (!pair) return null;
  const { carrier, far } = pair;
  const deadline = new Deadline(Math.min(proofTime, left / 4));
  try {
    try {
      // Nobody is to forget it because our end has closed.
      await announce({ fdStore: true, fdName: carrierName, fdPoll: false }, { fds: [far] }, deadline.left);
    } finally {
      binding().closeFd(far);
    }
    await notifyBarrier({ timeout: Math.ceil(deadline.left) });
    if (carrier.isHeld) return carrier.share();
  } catch {
    // no manager that keeps descriptors, or none that answers
  }
  carrier.close();
  return null;
}
