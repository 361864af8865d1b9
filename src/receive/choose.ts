// Which inherited descriptor a listener takes: by name, else by address, else the only one left. Decides, changes nothing.
import { ListenFdsError } from '../system/errors.js';
import { stat } from '../system/files.js';
import { type Place, formatAddress, matchesInet } from '../text/address.js';
import { type Description, type Inode, isTcp, summary } from './descriptor.js';
import { type InheritedFd, askedByPredecessor } from './inherited.js';
import { isAddressOurs } from './origin.js';

/** The kinds that a caller can serve. */
export interface Suitable {
  /** With its article, for messages: 'a listening stream socket'. */
  readonly what: string;
  is(description: Description): boolean;
  /** If nothing else is suitable, the one connection of Accept=yes that this accepts will do. */
  isConnection?(description: Description): boolean;
}

export interface Wish {
  /** The address asked for, as text: empty if any will do. */
  readonly asked: string;
  /** A connection was accepted for this process: REMOTE_ADDR is set, systemd.socket(5), or the caller says so. */
  readonly accepted: boolean;
  /** FileDescriptorName=. */
  readonly name: string | null;
  /** Every address that would do; empty when any does. A host name stands here resolved. */
  readonly addresses: readonly Place[];
  readonly suitable: Suitable;
  /** Every suitable one that is left is asked for. */
  readonly all?: boolean;
  /** Whether finding nothing is an error. */
  readonly required: boolean;
}

export interface Choice {
  readonly inherited: InheritedFd;
  /** It was taken although its address is none of those asked for. */
  readonly mismatch: boolean;
  /** What is taken with it: all that are left if all were asked for, and its ReusePort= twins in any case. */
  readonly others: readonly InheritedFd[];
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

/**
 * The connection of Accept=yes, if the manager says that there is one: by its default name; by REMOTE_ADDR, and then it is
 * the first descriptor; or by passing nothing else and no names, as systemd-socket-activate does, which has no store. Any
 * other, from the store or from OpenFile=, must be asked for by its name.
 */
function acceptedConnections(named: readonly InheritedFd[], passed: readonly InheritedFd[], wish: Wish): InheritedFd[] {
  const { isConnection } = wish.suitable;
  if (!isConnection) return [];
  return named.filter(
    (one) =>
      one.connected &&
      isConnection(one.description) &&
      (wish.name !== null ||
        one.name === 'connection' ||
        (wish.accepted && one === passed[0]) ||
        (one.name === 'unknown' && passed.length === 1)),
  );
}

const wildcards = new Set(['::', '0.0.0.0']);

/**
 * Whether a socket is just what the program asks for. Stricter than matches(), for sockets whose address no unit decides:
 * if the program's configuration has changed since they were bound, the configuration counts. The file of a unix socket must
 * still lead to it: RuntimeDirectory= goes with each stop.
 */
export function isExactly(addresses: readonly Place[], description: Description): boolean {
  const { address, boundInode } = description;
  return addresses.some((wanted) => {
    if (wanted.kind === 'unix' && !wanted.path.startsWith('\0')) {
      return boundInode === null
        ? address === wanted.path && stat(address) !== undefined
        : isBoundTo(wanted.path, boundInode);
    }
    if (!matches(wanted, description)) return false;
    return wanted.kind !== 'inet' || wanted.host !== null || wildcards.has((address as { address: string }).address);
  });
}

/** ReusePort=: the kernel spreads the connections to one address over several listeners, and each must be accepted from. */
export function isTwin(one: InheritedFd, other: InheritedFd): boolean {
  const isShared = one.description.reusePort === true && other.description.reusePort === true;
  return one !== other && isShared && formatAddress(one.address) === formatAddress(other.address);
}

function twinsOf(one: InheritedFd, free: readonly InheritedFd[]): InheritedFd[] {
  return free.filter((other) => isTwin(one, other));
}

/** Of those whose address is the program's to decide: the very socket that it had asked for. */
function exact(passed: readonly InheritedFd[], { name, addresses, asked, suitable }: Wish): InheritedFd | undefined {
  const any = addresses.length === 0 || addresses.some((one) => 'port' in one && one.port === 0);
  const found = passed.filter((one) => {
    if (one.connected || one.taken || !suitable.is(one.description)) return false;
    // On any free port, only how it was asked for tells which one it is.
    if (any) return one.name === (name ?? 'unknown') && (addresses.length === 0 || askedByPredecessor(one) === asked);
    return isExactly(addresses, one.description);
  });
  return found.find((one) => one.name === name) ?? found[0];
}

/**
 * Returns null when nothing suitable is left and the caller may bind. Sockets that a predecessor had bound, stored ones, and
 * connections that are for others count as little as if they had not been passed.
 *
 * @throws ListenFdsError LISTENFDS_NAME_NOT_FOUND, LISTENFDS_WRONG_KIND, LISTENFDS_TAKEN, LISTENFDS_AMBIGUOUS,
 * LISTENFDS_NOT_ACTIVATED; each lists the descriptors that were passed
 */
export function choose(all: readonly InheritedFd[], wish: Wish): Choice | null {
  const { name, addresses } = wish;
  const isOurs = ({ connected, origin }: InheritedFd): boolean => !connected && isAddressOurs(origin);
  const same = exact(all.filter(isOurs), wish);
  if (same) return { inherited: same, mismatch: false, others: [] };
  const passed = all.filter((one) => !isOurs(one));
  const named = name === null ? passed : passed.filter((one) => one.name === name);
  const connections = acceptedConnections(named, passed, wish);
  const isForOthers = (one: InheritedFd): boolean => one.connected && one.name !== name && !connections.includes(one);
  if (passed.every(isForOthers) && !wish.required) return null;
  const what = name === null ? 'inherited descriptor' : `inherited descriptor named '${name}'`;
  if (passed.length === 0) refuse('LISTENFDS_NOT_ACTIVATED', `No ${what} is the one that is asked for`, all);
  if (named.length === 0) refuse('LISTENFDS_NAME_NOT_FOUND', `There is no ${what}`, all);

  const wanted = named.filter(({ description }) => wish.suitable.is(description));
  const suitable = wanted.length > 0 ? wanted : connections;
  const free = suitable.filter((one) => !one.taken);
  if (free.length === 0) {
    const needed = wish.suitable.what;
    if (name === null && !wish.required) return null;
    if (suitable.length === 0) refuse('LISTENFDS_WRONG_KIND', `No ${what} is ${needed}`, all);
    if (name !== null) refuse('LISTENFDS_TAKEN', `Every ${what} is taken`, all);
    refuse('LISTENFDS_NOT_ACTIVATED', `Every ${what} that is ${needed} is taken`, all);
  }

  const atAddress = free.filter((one) => addresses.some((address) => matches(address, one.description)));
  const [first] = atAddress;
  const isMismatch = (found: unknown): boolean => !found && name === null && addresses.length > 0;
  // Several at one address are one socket unit's ReusePort= listeners.
  const found = first && formatAddress(first.address);
  if (wish.all) {
    const [one = free[0]!] = atAddress;
    return { inherited: one, mismatch: isMismatch(first), others: free.filter((other) => other !== one) };
  }
  if (first && atAddress.every((one) => formatAddress(one.address) === found)) {
    return { inherited: first, mismatch: false, others: twinsOf(first, atAddress) };
  }
  const [only] = free;
  if (only && free.every((one) => one === only || isTwin(one, only))) {
    return { inherited: only, mismatch: isMismatch(first), others: twinsOf(only, free) };
  }
  const place = addresses.map(formatAddress).join(' or ');
  const asked = !first ? (place ? `none is bound to ${place}` : 'no address was asked for') : `${place} fits several`;
  refuse('LISTENFDS_AMBIGUOUS', `${free.length} inherited descriptors would do and ${asked}`, all);
}

/** Warns of a socket that is not where the program means to listen, or throws, as `mismatch` says. */
export function reportMismatch(mismatch: string, { fd }: InheritedFd, message: string): void {
  if (mismatch === 'ignore') return;
  const error = new ListenFdsError('LISTENFDS_ADDRESS_MISMATCH', message, { fd });
  if (mismatch === 'error') throw error;
  process.emitWarning(error.message, { type: 'ListenFdsWarning', code: error.code });
}
