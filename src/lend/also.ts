// Further listeners for a server that listens on one: IPv4 and IPv6, TCP and a unix socket, the ReusePort= sockets of one
// address. node:net has one handle a server, so each gets a net.Server of its own that hands its connections over.
import type { Server, Socket } from 'node:net';
import type { Loan } from '../receive/lent.js';
import { net } from '../system/builtins.js';
import { backlogToKeep, handleOf, takes, whenClosed } from '../system/node-server.js';
import { replaceMethod } from '../system/replace.js';

/** What node:net asks a server when it makes a socket of a connection. */
const behaviour = [
  'allowHalfOpen',
  'pauseOnConnect',
  'noDelay',
  'keepAlive',
  'keepAliveInitialDelay',
  'highWaterMark',
] as const;

interface Internals extends Partial<Record<(typeof behaviour)[number], unknown>> {
  _connections: number;
  _unref?: boolean;
  _emitCloseIfDrained?(): void;
}

/** Has a server listen on a loan. */
export type Listen = (server: Server, loan: Loan) => unknown;

/** Next to `fd` only the positional form of the backlog is honoured. */
export type ListenOn = (this: Server, options: { fd?: number }, backlog: number, callback?: () => void) => Server;

export const listenBy =
  (listen: ListenOn): Listen =>
  (server, { fd, inherited }) =>
    listen.call(server, { fd }, backlogToKeep(inherited));

/** The connection is counted by the server it belongs to from now on, and that one waits for it when it closes. */
export function handConnection(socket: Socket, from: Server, to: Server): void {
  const [before, after] = [from, to] as unknown as [Internals, Internals];
  before._connections -= 1;
  after._connections += 1;
  Object.assign(socket, { server: to, _server: to });
  before._emitCloseIfDrained?.();
  to.emit('connection', socket);
}

/** Has `server` take the connections of further listeners, as long as it listens itself. */
export function acceptAlso(
  server: Server,
  loans: readonly Loan[],
  listen: Listen = listenBy(net.Server.prototype.listen as ListenOn),
): void {
  const handle = handleOf(server);
  if (loans.length === 0 || !handle) return;
  const main = server as unknown as Internals;
  const others = loans.map((loan) => {
    const other = net.createServer();
    const internals = other as unknown as Internals;
    for (const name of behaviour) if (main[name] !== undefined) internals[name] = main[name];
    other.on('connection', (socket) => {
      if (takes(server, socket)) handConnection(socket, other, server);
      else socket.destroy();
    });
    other.on('error', (error) => server.emit('error', error));
    listen(other, loan);
    const closes = (): void => whenClosed(handleOf(other)!, loan.giveBack);
    // A cluster worker asks its primary for the handle.
    if (handleOf(other)) closes();
    else other.once('listening', closes);
    if (main._unref) other.unref();
    return other;
  });
  whenClosed(handle, () => others.forEach((other) => void other.close()));
  const referenced = handle as { ref(): unknown; unref(): unknown };
  for (const name of ['ref', 'unref'] as const) {
    const own = referenced[name];
    replaceMethod(referenced, name, function (this: object) {
      others.forEach((other) => other[name]());
      return Reflect.apply(own, this, []);
    });
  }
}
