// What Node's servers do with a descriptor, and how they are told otherwise.

import type { AddressInfo, BlockList, Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { binding } from './addon.js';
import { replaceMethod } from './replace.js';

/** The handle of libuv behind a server or a connection of node:net. */
export interface UvHandle {
  /** Negative while it closes. */
  readonly fd?: number;
}

/** Undefined if its kind has none, null if it is closed. */
export function handleOf<H extends UvHandle = UvHandle>(holder: object): H | null | undefined {
  return (holder as { readonly _handle?: H | null })._handle;
}

/** The descriptor of a server or a connection; null if it has none, as in a cluster worker, or is closed. */
export function descriptorOf(holder: object): number | null {
  const fd = handleOf(holder)?.fd;
  return fd === undefined || fd < 0 ? null : fd;
}

/** Whether it is a unix socket, or a pipe, of Node's: the class of its handle tells. */
export function isPipe(holder: object): boolean {
  return handleOf(holder)?.constructor.name === 'Pipe';
}

/**
 * Calls back just before the handle of a server closes: its connections may be open for long after that. Bun has handles of
 * another kind, or none, which do not tell their end.
 */
export function whenClosed(handle: object | null | undefined, then: () => void): void {
  const closable = handle as { close?(...args: unknown[]): unknown } | null | undefined;
  const close = closable?.close;
  if (!closable || !close) return;
  const restore = replaceMethod(closable, 'close', function (this: object, ...args: unknown[]) {
    restore();
    then();
    return Reflect.apply(close, this, args);
  });
}

/** Marks a server.listen() that is to bind, whatever was passed: the preload leaves it alone. */
export const bindItself = Symbol.for('listenfds.bindItself');

/** Node does not know the path of a socket that the addon bound, or that was moved since. */
export function presentPath(server: Server, path: string): void {
  const undo = replaceMethod(server, 'address', () => (server.listening ? path : null));
  // Once closed, Node would tell the temporary name. Should the server listen again, that is for Node to tell.
  server.once('close', () => server.once('listening', undo));
}

/**
 * Node calls listen(2) again on a socket it adopts, with 511 unless told otherwise: that would shrink the queue for all who
 * hold the socket. If the backlog in force is not known it at least never shrinks: the kernel clamps any value to
 * net.core.somaxconn. Only the positional form is honoured next to `fd`.
 */
export function backlogToKeep({ backlog }: { readonly backlog: number | null }): number {
  return backlog ?? 0x7fffffff;
}

/** Whether Node may call listen(2) again on a socket that listens already: a sandbox may forbid it to a service that opens nothing. */
export const mayListen = (): boolean => (allowed ??= binding().mayListen());

let allowed: boolean | undefined;

/** Node does not know the address of a socket it did not bind, the path of a unix socket for example; frameworks crash on null. */
export function nameAddress(server: Server, address: AddressInfo | string | null): void {
  server.once(
    'close',
    replaceMethod(server, 'address', () => (server.listening ? address : null)),
  );
}

interface ServerLimits {
  readonly maxConnections?: number | null;
  readonly blockList?: BlockList;
  readonly _connections?: number;
}

/** Whether a server takes one more connection, as node:net asks for those that it accepts itself. */
export function takes(server: Server, socket: Duplex): boolean {
  const { maxConnections, blockList, _connections = 0 } = server as ServerLimits;
  const { localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily } = socket as Socket;
  if (maxConnections != null && _connections >= maxConnections) {
    server.emit('drop', { localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily });
    return false;
  }
  return !remoteAddress || !blockList?.check(remoteAddress, remoteFamily === 'IPv6' ? 'ipv6' : 'ipv4');
}
