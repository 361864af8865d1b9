// Which inherited socket a program means that knows nothing of activation and calls listen() or bind(). Decides only.
import type { AddressInfo } from 'node:net';
import { matches } from '../receive/choose.js';
import type { InheritedFd } from '../receive/inherited.js';
import { type Address, isLoopback } from '../text/address.js';

export interface Pick {
  readonly inherited: InheritedFd;
  /** It is bound elsewhere than the program asked for. */
  readonly mismatch: boolean;
}

function inetOf(inherited: InheritedFd): AddressInfo | null {
  return typeof inherited.address === 'object' ? inherited.address : null;
}

/** A server that may be meant for this machine alone must not get a socket that others reach. A name counts as such: it is not resolved. */
function isWider(inherited: InheritedFd, host: string | null): boolean {
  const own = inetOf(inherited);
  return host !== null && isLoopback(host) !== false && own !== null && !isLoopback(own.address);
}

/**
 * The one named after the port (FileDescriptorName=3000); else the one bound to the address; else the one bound to the
 * port, for which the program could bind no other; else the first. A program's own unix path is only matched by itself:
 * most are private to the program.
 */
export function pick(free: readonly InheritedFd[], wanted: Address): Pick | null {
  const found = (inherited: InheritedFd | undefined, mismatch: boolean): Pick | null =>
    inherited ? { inherited, mismatch } : null;
  const exact = found(
    free.find(({ description }) => matches(wanted, description)),
    false,
  );
  if (wanted.kind !== 'inet') return exact;
  const { host, port } = wanted;
  return (
    found(
      free.find(({ name }) => name === String(port)),
      false,
    ) ??
    exact ??
    found(
      free.find((one) => inetOf(one)?.port === port),
      true,
    ) ??
    found(
      free.find((one) => !isWider(one, host)),
      true,
    )
  );
}
