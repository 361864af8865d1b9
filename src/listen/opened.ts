// The common result of adopting an inherited socket and binding our own.
import type { AddressInfo, Server } from 'node:net';
import { gatekeeper } from '../admit/gate.js';
import { type Asked, register } from '../open/own.js';
import type { RemoteEnd } from '../sockets/accepted.js';
import { descriptorOf } from '../system/node-server.js';

export interface Opened {
  readonly address: AddressInfo | string | null;
  /** The other end, if one accepted connection is all that was passed. */
  readonly remote: RemoteEnd | null;
}

/** A server that cannot say where it is listens no longer: whoever gets the error must not serve all the same. */
export function addressNow(server: Server): Opened['address'] {
  try {
    return server.address();
  } catch (error) {
    server.close();
    throw error;
  }
}

/** For an upgrade to pass on, as long as it is open. */
export function registerServer(server: Server, asked: Asked): void {
  const forget = register(asked, {
    fd: () => descriptorOf(server),
    handOver: () => Object.assign(gatekeeper(server), { shared: true, handedOver: true }),
  });
  server.once('close', forget);
}
