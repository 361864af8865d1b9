// A server that listens without a socket of Node's: the listener is put where the cluster module puts its own stand-in
// (lib/internal/cluster/child.js), so that listening, close(), ref() and the rest of net.Server work as ever.
import type { AddressInfo, Server, Socket, SocketConstructorOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import { net } from '../system/builtins.js';
import { nameAddress, takes } from '../system/node-server.js';
import { replaceMethod } from '../system/replace.js';

/** The methods of a handle that net.Server calls. */
export interface Listener {
  /** The descriptor, for an upgrade to pass on. */
  readonly fd?: number;
  close(): void;
  ref(): void;
  unref(): void;
}

interface Internals {
  _handle: Listener | null;
  _connections?: number;
  _unref?: boolean;
  _emitCloseIfDrained?(): void;
}

const internals = (server: Server): Internals => server as unknown as Internals;

/** Makes `server` listen through `listener`, at `address`; 'listening' follows. */
export function attach(server: Server, listener: Listener, address: AddressInfo | string | null): void {
  internals(server)._handle = listener;
  if (internals(server)._unref) listener.unref();
  nameAddress(server, address);
  process.nextTick(() => server.listening && server.emit('listening'));
}

/** Options of a server that are its sockets', too. */
export interface Behaviour {
  readonly allowHalfOpen?: boolean;
  readonly pauseOnConnect?: boolean;
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  /** Seconds. */
  readonly keepAliveInitialDelay?: number;
  readonly highWaterMark?: number;
}

/** The server's socket for a connection. */
export function socketFor(server: Server, fd: number): Socket {
  const { allowHalfOpen = false, pauseOnConnect = false, highWaterMark } = server as Behaviour;
  const { noDelay, keepAlive, keepAliveInitialDelay = 0 } = server as Behaviour;
  const socket = new net.Socket({
    fd,
    readable: true,
    writable: true,
    allowHalfOpen,
    pauseOnCreate: pauseOnConnect,
    readableHighWaterMark: highWaterMark,
    writableHighWaterMark: highWaterMark,
  } as SocketConstructorOpts);
  if (noDelay) socket.setNoDelay(true);
  if (keepAlive) socket.setKeepAlive(true, keepAliveInitialDelay * 1000);
  return socket;
}

/**
 * Until then a server that is closed does not emit 'close': connections may come yet.
 *
 * @returns lets it
 */
export function holdOpen(server: Server): () => void {
  const inside = internals(server);
  if (!inside._emitCloseIfDrained) return () => {};
  const release = replaceMethod(inside, '_emitCloseIfDrained', () => {});
  return () => {
    release();
    inside._emitCloseIfDrained?.();
  };
}

/** Gives a connection to the server, if that takes it, and has it counted there while it is open. */
export function connect(server: Server, socket: Duplex): void {
  if (!takes(server, socket)) {
    socket.destroy();
    return;
  }
  const counter = internals(server);
  counter._connections = (counter._connections ?? 0) + 1;
  socket.once('close', () => {
    counter._connections = (counter._connections ?? 1) - 1;
    counter._emitCloseIfDrained?.();
  });
  server.emit('connection', socket as Socket);
}
