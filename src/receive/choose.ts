// Which inherited descriptor a listener takes: by name, else by address, else the only one left. Decides, changes nothing.
import { ListenFdsError } from '../system/errors.js';
import { stat } from '../system/files.js';
import { type Place, formatAddress, matchesInet } from '../text/address.js';
import { type Description, type Inode, isTcp, summary } from './descriptor.js';
import type { InheritedFd } from './inherited.js';

/** What a caller can serve. */
export interface Suitable {
  /** With its article, for messages: 'a listening stream socket'. */
  readonly what: string;
  is(description: Description): boolean;
  /** Where nothing else is suitable, the one connection of Accept=yes that this accepts will do. */
  isConnection?(description: Description): boolean;
}

export interface Wish {
  /** FileDescriptorName=. */
  readonly name: string | null;
  /** Every address that would do; empty when any does. A host name stands here resolved. */
  readonly addresses: readonly Place[];
  readonly suitable: Suitable;
  /** Whether finding nothing is an error. */
  readonly required: boolean;
}

export interface Choice {
  readonly inherited: InheritedFd;
  /** It was taken although its address is none of those asked for. */
  readonly mismatch: boolean;
}

function sameDevice(device: bigint, { major, minor }: Description['inode']): boolean {
  return (
    ((device >> 8n) & 0xfffn) === BigInt(major) && ((device & 0xffn) | ((device >> 12n) & 0xfff00n)) === BigInt(minor)
  );
}

/** The file a unix listener is bound to may have been renamed since, or be reached through a symbolic link. */
export function isBoundTo(path: string, bound: Description['boundInode']): boolean {
  if (bound === null || path.startsWith('\0')) return false;
  const file = stat(path);
  return file !== undefined && isInode(file, bound);
}

/** Of the inode's number sock_diag(7) tells 32 bits. */
export function isInode({ ino, dev }: { readonly ino: bigint; readonly dev: bigint }, bound: Inode): boolean {
  return BigInt.asUintN(32, ino) === BigInt(bound.number) && sameDevice(dev, bound);
}

/** A FIFO or a device may have several names. */
function isFile(path: string, { inode }: Description): boolean {
  const file = stat(path);
  return file !== undefined && file.ino === BigInt(inode.number) && sameDevice(file.dev, inode);
}

export function matches(wanted: Place, description: Description): boolean {
  const { address } = description;
  if (wanted.kind === 'inet') {
    if (typeof address !== 'object' || address === null) return false;
    // An accepted connection has one of our addresses, whatever its listener was bound to.
    const accepted = isTcp(description) && description.connected;
    return matchesInet(accepted ? { ...wanted, host: null } : wanted, address, description.ipv6Only ?? false);
  }
  if (wanted.kind === 'unix') return address === wanted.path || isBoundTo(wanted.path, description.boundInode);
  if (wanted.kind === 'file') return address === wanted.path || isFile(wanted.path, description);
  return address === formatAddress(wanted);
}

function list(passed: readonly InheritedFd[]): string {
  return passed.map((one) => `${summary(one)}${one.taken ? ' (taken)' : ''}`).join(', ');
}

function refuse(
  code:
    | 'LISTENFDS_NAME_NOT_FOUND'
    | 'LISTENFDS_WRONG_KIND'
    | 'LISTENFDS_TAKEN'
    | 'LISTENFDS_AMBIGUOUS'
    | 'LISTENFDS_NOT_ACTIVATED',
  found: string,
  passed: readonly InheritedFd[],
): never {
  throw new ListenFdsError(code, `${found}. Passed: ${list(passed)}`);
}

/** Accept=yes passes one connection, called "connection" unless FileDescriptorName= says otherwise. */
function acceptedConnections(named: readonly InheritedFd[], wish: Wish): readonly InheritedFd[] {
  const { isConnection } = wish.suitable;
  if (!isConnection) return [];
  return named.filter(
    (one) =>
      one.connected &&
      isConnection(one.description) &&
      // Without a name it must be plain that it is no stored connection.
      (wish.name !== null || named.length === 1 || one.name === 'connection'),
  );
}

/**
 * Returns null when nothing suitable is left and the caller may bind.
 *
 * @throws ListenFdsError LISTENFDS_NAME_NOT_FOUND, LISTENFDS_WRONG_KIND, LISTENFDS_TAKEN, LISTENFDS_AMBIGUOUS,
 * LISTENFDS_NOT_ACTIVATED; each lists what was passed
 */
export function choose(passed: readonly InheritedFd[], wish: Wish): Choice | null {
  const { name, addresses } = wish;
  const named = name === null ? passed : passed.filter((one) => one.name === name);
  const what = name === null ? 'inherited descriptor' : `inherited descriptor named '${name}'`;
  if (named.length === 0) refuse('LISTENFDS_NAME_NOT_FOUND', `There is no ${what}`, passed);

  const wanted = named.filter(({ description }) => wish.suitable.is(description));
  const suitable = wanted.length > 0 ? wanted : acceptedConnections(named, wish);
  const free = suitable.filter((one) => !one.taken);
  if (free.length === 0) {
    const needed = wish.suitable.what;
    if (name === null && !wish.required) return null;
    if (suitable.length === 0) refuse('LISTENFDS_WRONG_KIND', `No ${what} is ${needed}`, passed);
    if (name !== null) refuse('LISTENFDS_TAKEN', `Every ${what} is taken`, passed);
    refuse('LISTENFDS_NOT_ACTIVATED', `Every ${what} that is ${needed} is taken`, passed);
  }

  const atAddress = free.filter((one) => addresses.some((address) => matches(address, one.description)));
  const [first] = atAddress;
  // Several at one address are one socket unit's ReusePort= listeners, each as good as the other.
  const found = first && formatAddress(first.address);
  if (first && atAddress.every((one) => formatAddress(one.address) === found))
    return { inherited: first, mismatch: false };
  const [only, ...others] = free;
  if (only && others.length === 0) return { inherited: only, mismatch: name === null && addresses.length > 0 };
  const place = addresses.map(formatAddress).join(' or ');
  const asked = !first ? (place ? `none is bound to ${place}` : 'no address was asked for') : `${place} fits several`;
  refuse('LISTENFDS_AMBIGUOUS', `${free.length} inherited descriptors would do and ${asked}`, passed);
}

/** Warns of a socket that is not where the program means to listen, or throws, as `mismatch` says. */
export function reportMismatch(mismatch: string, { fd }: InheritedFd, message: string): void {
  if (mismatch === 'ignore') return;
  const error = new ListenFdsError('LISTENFDS_ADDRESS_MISMATCH', message, { fd });
  if (mismatch === 'error') throw error;
  process.emitWarning(error.message, { type: 'ListenFdsWarning', code: error.code });
}
