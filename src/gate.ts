// Who gets in: every new connection of a server passes its gates before a byte is read, and is counted.
import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';

/** Why a connection is refused, in a few words, or null to let it in. Must answer at once. */
export type Gate = (socket: Socket) => string | null;

/** Connections of one server since it was first looked at. */
export interface ConnectionStats {
  /** Let in. */
  readonly accepted: number;
  /** Open now. */
  readonly active: number;
  /** Turned away by a limit, an address list or an authorisation rule. */
  readonly refused: number;
}

/** What is published on the diagnostics channel `listenfds:refused`. */
export interface RefusedMessage {
  readonly server: EventEmitter;
  readonly socket: Socket;
  readonly reason: string;
}

class Gatekeeper implements ConnectionStats {
  accepted = 0;
  active = 0;
  refused = 0;
  readonly gates: Gate[] = [];
  /** Told after each change of `active`; idle exit and STATUS= wait for that. */
  readonly watchers: ((keeper: Gatekeeper) => void)[] = [];

  /** Whether the connection may go on to the server's own listeners. */
  admit(server: EventEmitter, socket: Socket): boolean {
    for (const gate of this.gates) {
      const reason = gate(socket);
      if (reason === null) continue;
      this.refused += 1;
      socket.destroy();
      const channel = process.getBuiltinModule('node:diagnostics_channel').channel('listenfds:refused');
      if (channel.hasSubscribers) channel.publish({ server, socket, reason } satisfies RefusedMessage);
      return false;
    }
    this.accepted += 1;
    this.active += 1;
    socket.once('close', () => {
      this.active -= 1;
      this.#tell();
    });
    this.#tell();
    return true;
  }

  #tell(): void {
    for (const watcher of this.watchers) watcher(this);
  }
}

export type { Gatekeeper };

// Shared by two copies of the package: a server has one gatekeeper.
const key = Symbol.for('listenfds.gatekeeper');

/**
 * The gatekeeper of a server, put in place on first use. It stands before the 'connection' event, which net, http, https,
 * tls and http2 servers all emit with the raw socket in the same tick as accept(2): libuv has read nothing by then.
 */
export function gatekeeper(server: EventEmitter): Gatekeeper {
  const holder = server as EventEmitter & { [key]?: Gatekeeper };
  const existing = holder[key];
  if (existing) return existing;
  const keeper = new Gatekeeper();
  Object.defineProperty(holder, key, { value: keeper });
  const emit = server.emit;
  server.emit = function (this: EventEmitter, event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'connection' && !keeper.admit(server, args[0] as Socket)) return true;
    return Reflect.apply(emit, this, [event, ...args]);
  };
  return keeper;
}
