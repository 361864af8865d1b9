// What adopting an inherited socket and binding our own come to.
import type { AddressInfo, Server } from 'node:net';
import type { RemoteEnd } from '../sockets/accepted.js';

export interface Opened {
  readonly address: AddressInfo | string | null;
  /** Who is on the other end, where one accepted connection is all that was passed. */
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
