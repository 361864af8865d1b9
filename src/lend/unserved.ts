// Connections that a server accepted on a socket that was lent to it, and that nobody in the program serves: it only looks
// whether its port is free, and closes late. They go to the next server that is lent the socket.
import type { Server, Socket } from 'node:net';
import type { InheritedFd } from '../receive/inherited.js';
import { replaceMethod } from '../system/replace.js';
import { handConnection } from './also.js';

const served = {
  http: ['request', 'stream', 'session', 'upgrade', 'connect'],
  tls: ['secureConnection'],
  net: ['connection'],
};

/** Whether somebody waits for what is in a connection. node:http and node:tls have listeners of their own for it. */
function isServed(server: Server): boolean {
  const kind = 'timeout' in server ? 'http' : 'setSecureContext' in server ? 'tls' : 'net';
  return served[kind].some((event) => server.listenerCount(event) > 0);
}

interface Unserved {
  readonly socket: Socket;
  readonly from: Server;
}

export class UnservedConnections {
  readonly #waiting = new Map<InheritedFd, Unserved[]>();

  /** A server has been lent a socket. */
  opened(server: Server, inherited: InheritedFd): void {
    const offer = (): void => this.#offer(server, inherited);
    const { emit } = server;
    const undo = replaceMethod(server, 'emit', (event: string, ...args: unknown[]) => {
      if (event === 'connection' && !isServed(server)) {
        const waiting = this.#waiting.get(inherited) ?? [];
        this.#waiting.set(inherited, waiting);
        waiting.push({ socket: args[0] as Socket, from: server });
        return true;
      }
      // Many programs listen first, and say afterwards who serves.
      if (event === 'newListener') process.nextTick(offer);
      return Reflect.apply(emit, server, [event, ...args]) as boolean;
    });
    server.once('close', undo);
    setImmediate(offer);
  }

  #offer(server: Server, inherited: InheritedFd): void {
    if (!server.listening || !isServed(server)) return;
    for (const { socket, from } of this.#waiting.get(inherited)?.splice(0) ?? []) {
      if (socket.destroyed) continue;
      if (from === server) server.emit('connection', socket);
      else handConnection(socket, from, server);
    }
  }
}
