// The result of every verb, beside the server or socket itself.
import type { AddressInfo } from 'node:net';
import type { InheritedFd } from '../receive/inherited.js';
import { type Origin, sourceOf } from '../receive/origin.js';

/** Where something receives, and where it came from: the part of every verb's answer that is the same for all of them. */
export interface Endpoint {
  /**
   * Where clients find it, as in `server.address()`, also for an inherited unix socket; a path or an address string for
   * the rest; null if it has none. An abstract name starts with NUL, as in Node.
   */
  readonly address: AddressInfo | string | null;
  /** `'inherited'`: it was passed to this process. `'bound'`: this process opened it. */
  readonly source: 'inherited' | 'bound';
  /** Where it came from: who keeps it when this process ends depends on it. */
  readonly origin: Origin;
  /** FileDescriptorName= of an inherited one; null for one this process opened. */
  readonly name: string | null;
}

/** What a verb resolves to that gives a server. */
export interface ServerEndpoint<S> extends Endpoint {
  /** Accepts the connections. */
  readonly server: S;
}

/** What a verb resolves to that gives a socket or a stream. */
export interface SocketEndpoint<S> extends Endpoint {
  /** Receives. */
  readonly socket: S;
}

/** @param found null if this process opened it */
export function endpoint(found: InheritedFd | null, address: Endpoint['address']): Endpoint {
  const origin = found?.origin ?? 'self';
  return { address, source: sourceOf(origin), origin, name: found?.name ?? null };
}
