// Inherited descriptors as things that are lent: a server or a socket gets a duplicate, and when that is closed the
// descriptor is free again. So a program may close and listen anew, and cluster workers may all leave and come back.
import { binding, systemError } from '../system/addon.js';
import { isOpenOn } from './descriptor.js';
import { isPrimaryFd } from './from-primary.js';
import type { Inherited, InheritedFd } from './inherited.js';
import { keptBy } from './origin.js';

export interface Loan {
  readonly inherited: InheritedFd;
  /** A descriptor of the borrower's own, to close; in a cluster worker a number of the primary's. */
  readonly fd: number;
  /** To be called when it is closed. */
  giveBack(): void;
}

/**
 * Undoes take() for a descriptor that its taker could not use, if it is still the same open one. The primary's, which a
 * cluster worker was told of, is open there.
 */
export function putBack(inherited: InheritedFd): void {
  if (isPrimaryFd(inherited)) inherited.putBack();
  else if (isOpenOn(inherited.fd, inherited.description)) (inherited as Inherited).putBack();
}

/** For taken descriptors. If nobody keeps one, it is not lent but given: closed, it is closed. */
export function lend(inherited: InheritedFd): Loan {
  if (keptBy(inherited.origin) === null) return { inherited, fd: inherited.fd, giveBack: () => {} };
  let out = true;
  const giveBack = (): void => {
    if (!out) return;
    out = false;
    putBack(inherited);
  };
  if (isPrimaryFd(inherited)) return { inherited, fd: inherited.fd, giveBack };
  const fd = binding().duplicate(inherited.fd);
  if (fd < 0) throw systemError(fd, 'fcntl', `fd ${inherited.fd}`);
  return { inherited, fd, giveBack };
}

/** For a loan that could not be used. */
export function cancel({ inherited, fd, giveBack }: Loan): void {
  if (fd !== inherited.fd && isOpenOn(fd, inherited.description)) binding().closeFd(fd);
  if (keptBy(inherited.origin) === null) putBack(inherited);
  else giveBack();
}
