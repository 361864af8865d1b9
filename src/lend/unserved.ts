// Connections that a server accepted on a socket that was lent to it, and that nobody in the program serves: it only looks
// whether its port is free, and closes late. They go to the next server that is lent the socket.
import type { Server, Socket } from 'node:net';
import type { InheritedFd } from '../receive/inherited.js';
import { replaceMethod } from '../system/replace.js';
import { handConnection } from './also.js';

const aboutItself = new Set<string | symbol>(['listening', 'close', 'error', 'newListener', 'removeListener']);

/** What node:tls, node:http and node:http2 listen for on their own servers. */
function ownListeners(server: Server, event: string | symbol): number {
  const [isTls, isHttp] = ['setSecureContext' in server, 'timeout' in server];
  if (event === 'connection') return isTls || isHttp ? 1 : 0;
  return isTls && isHttp && (event === 'secureConnection' || event === 'tlsClientError') ? 1 : 0;
}

/** Whether the program listens for anything that connections bring. */
function isServed(server: Server): boolean {
  return server
    .eventNames()
    .some((event) => !aboutItself.has(event) && server.listenerCount(event) > ownListeners(server, event));
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
    const emit: (event: string, ...args: unknown[]) => boolean = server.emit;
    const undo = replaceMethod(server, 'emit', (event: string, ...args: unknown[]) => {
      if (event === 'connection' && !isServed(server)) {
        const waiting = this.#waiting.get(inherited) ?? [];
        this.#waiting.set(inherited, waiting);
        waiting.push({ socket: args[0] as Socket, from: server });
        return true;
      }
      // Many programs listen first, and say afterwards who serves.
      if (event === 'newListener') process.nextTick(offer);
      return emit.call(server, event, ...args);
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
