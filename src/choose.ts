// Which inherited descriptor a listener takes: by name, else by address, else the only one left. Decides, changes nothing.
import { formatAddress, matchesInet, type Address } from './address.js';
import { fs } from './builtins.js';
import { summary, type Description, type Kind } from './descriptor.js';
import { ListenFdsError } from './errors.js';
import type { InheritedFd } from './inherited.js';

export interface Wish {
  /** FileDescriptorName=. */
  readonly name: string | null;
  /** Every address that would do; empty when any does. A host name stands here resolved. */
  readonly addresses: readonly Address[];
  /** The kinds the caller can serve, listeners only. */
  readonly kinds: readonly Kind[];
  /** Whether finding nothing is an error. */
  readonly required: boolean;
}

export interface Choice {
  readonly inherited: InheritedFd;
  /** It was taken although its address is none of those asked for. */
  readonly mismatch: boolean;
}

/** The file a unix listener is bound to may have been renamed since, or be reached through a symbolic link. */
export function isBoundTo(path: string, bound: Description['boundInode']): boolean {
  if (bound === null || path.startsWith('\0')) return false;
  const file = fs.statSync(path, { bigint: true, throwIfNoEntry: false });
  if (!file) return false;
  const major = (file.dev >> 8n) & 0xfffn;
  const minor = (file.dev & 0xffn) | ((file.dev >> 12n) & 0xfff00n);
  return (
    BigInt.asUintN(32, file.ino) === BigInt(bound.number) &&
    major === BigInt(bound.major) &&
    minor === BigInt(bound.minor)
  );
}

export function matches(wanted: Address, description: Description): boolean {
  const { address } = description;
  if (wanted.kind === 'inet') {
    return (
      typeof address === 'object' && address !== null && matchesInet(wanted, address, description.ipv6Only ?? false)
    );
  }
  if (wanted.kind === 'unix') return address === wanted.path || isBoundTo(wanted.path, description.boundInode);
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

  const suitable = named.filter((one) => one.listening && wish.kinds.includes(one.kind));
  const free = suitable.filter((one) => !one.taken);
  if (free.length === 0) {
    const needed = `a listening ${wish.kinds.join(' or ')} socket`;
    if (name === null && !wish.required) return null;
    if (suitable.length === 0) refuse('LISTENFDS_WRONG_KIND', `No ${what} is ${needed}`, passed);
    if (name !== null) refuse('LISTENFDS_TAKEN', `Every ${what} is taken`, passed);
    refuse('LISTENFDS_NOT_ACTIVATED', `Every ${what} that is ${needed} is taken`, passed);
  }

  const atAddress = free.filter((one) => addresses.some((address) => matches(address, one.description)));
  const [first] = atAddress;
  // Several at one address are one socket unit's ReusePort= listeners, each as good as the other.
  const place = first && formatAddress(first.address);
  if (first && atAddress.every((one) => formatAddress(one.address) === place))
    return { inherited: first, mismatch: false };
  const [only, ...others] = free;
  if (only && others.length === 0) return { inherited: only, mismatch: name === null && addresses.length > 0 };
  const wanted = addresses.map(formatAddress).join(' or ');
  const asked = !first
    ? wanted
      ? `none is bound to ${wanted}`
      : 'no address was asked for'
    : `${wanted} fits several`;
  refuse('LISTENFDS_AMBIGUOUS', `${free.length} inherited descriptors would do and ${asked}`, passed);
}
