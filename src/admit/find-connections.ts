// The connections of a server that nobody has watched: it was opened with its own listen(), and node:net keeps no list.
import type { Http2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { net } from '../system/builtins.js';
import { type Gatekeeper, gatekeeper, isWatched } from './gate.js';

/** The value that a server of node:http or node:http2 has under a symbol of that description. */
function internal(server: Server, description: string): unknown {
  const found = Object.getOwnPropertySymbols(server).find((symbol) => symbol.description === description);
  return found && (server as unknown as Record<symbol, unknown>)[found];
}

/** Connections that speak HTTP/1.1; over TLS they are TLSSockets. */
function httpConnections(server: Server): Socket[] {
  const list = internal(server, 'http.server.connections') as { all?(): { socket?: Socket | null }[] } | undefined;
  return (list?.all?.() ?? []).flatMap(({ socket }) => socket ?? []);
}

/** Sockets that were accepted by the server and keep the event loop alive; over TLS those below the TLSSocket. */
function acceptedSockets(server: Server): Socket[] {
  const { _getActiveHandles: handles } = process as { _getActiveHandles?: () => unknown[] };
  return (handles?.call(process) ?? []).filter(
    (handle): handle is Socket => handle instanceof net.Socket && (handle as { server?: Server }).server === server,
  );
}

const isSession = (value: unknown): value is Http2Session =>
  typeof (value as Partial<Http2Session> | null)?.goaway === 'function';

/** The session that node:http2 has put on a socket; over TLS that socket is out of reach. */
const sessionOn = (socket: Socket): Http2Session | undefined => Object.values(socket).find(isSession);

function watchHttp2(keeper: Gatekeeper, server: Server, accepted: readonly Socket[]): Socket[] {
  // Node 20 and 22 keep no list.
  const listed = [...((internal(server, 'sessions') as Iterable<Http2Session> | undefined) ?? [])];
  const sessions = new Set([...listed, ...accepted.flatMap((socket) => sessionOn(socket) ?? [])]);
  return [...sessions].map((session) => {
    const socket = session.socket.valueOf() as Socket; // a proxy, which lets nobody write
    keeper.found(socket, false);
    keeper.opened(session);
    return socket;
  });
}

/**
 * Puts the gatekeeper before a server that has none, and tells it of the connections there are. Of a connection over TLS that
 * neither speaks HTTP/1.1 nor is in Node's list of HTTP/2 sessions only the socket below can be found: like a WebSocket it
 * is waited for, and cut at the deadline.
 */
export function watchFromNow(server: Server): void {
  if (isWatched(server)) return;
  const keeper = gatekeeper(server);
  const accepted = acceptedSockets(server);
  const http = httpConnections(server);
  for (const socket of http) keeper.found(socket, false);
  const known = new Set([...http, ...watchHttp2(keeper, server, accepted)]);
  const below = new Set([...known].map((socket) => (socket as TLSSocket & { _parent?: Socket })._parent));
  for (const socket of accepted) if (!known.has(socket) && !below.has(socket)) keeper.found(socket, true);
}
