// Address strings as ListenStream= writes them (systemd.socket(5)): parse, format, compare. Pure.
import type { AddressInfo } from 'node:net';
import { net } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';

export type Address =
  /** `host` null: every address of this machine, both families. Port 0: any. */
  | { readonly kind: 'inet'; readonly host: string | null; readonly port: number }
  /** `path` as Node writes it: an abstract name starts with NUL. */
  | { readonly kind: 'unix'; readonly path: string }
  /** `cid` null: any. */
  | { readonly kind: 'vsock'; readonly cid: number | null; readonly port: number };

/** The place of something other than a socket with a port, for the verbs beside listen(). */
export type Place =
  | Address
  /** A FIFO, device or regular file: an absolute path. */
  | { readonly kind: 'file'; readonly path: string }
  /** Compared as it stands: a netlink family with its groups, a message queue's name. */
  | { readonly kind: 'text'; readonly text: string };

/** The longest path a unix socket can have, in bytes: sun_path less its NUL, unix(7). */
export const maxPathBytes = 107;

export function badAddress(text: string, why: string): ListenFdsError {
  return new ListenFdsError('LISTENFDS_BAD_ADDRESS', `${JSON.stringify(text)} is not an address: ${why}`);
}

function parsePort(text: string, whole: string, most: number): number {
  const port = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= most)) throw badAddress(whole, `the port must be a whole number from 0 to ${most}`);
  return port;
}

/** A unix path or (with a leading NUL) abstract name, checked for bytes that the kernel would cut off. */
export function unixAddress(path: string, whole: string = path): Address {
  const bytes = Buffer.byteLength(path);
  if (bytes > maxPathBytes + (path[0] === '\0' ? 1 : 0)) {
    throw badAddress(whole, `${bytes} bytes are more than the ${maxPathBytes} a unix socket path can have`);
  }
  if (path.includes('\0', 1)) throw badAddress(whole, 'it contains a NUL');
  return { kind: 'unix', path };
}

/**
 * Reads an address string: `8080`, `127.0.0.1:8080`, `[::1]:8080`, `/run/app.sock`, `@abstract`, `vsock:2:1234`.
 * Port 0, which systemd refuses, means any free port.
 *
 * @throws ListenFdsError LISTENFDS_BAD_ADDRESS
 */
export function parseAddress(text: string): Address {
  if (text.startsWith('/')) return unixAddress(text);
  if (text.startsWith('@')) {
    if (text.length === 1) throw badAddress(text, 'an abstract name cannot be empty');
    return unixAddress(`\0${text.slice(1)}`, text);
  }
  if (/^[0-9]+$/.test(text)) return { kind: 'inet', host: null, port: parsePort(text, text, 65535) };

  const vsock = /^vsock(?:-stream)?:([^:]*):(.*)$/.exec(text);
  if (vsock) {
    const cid = vsock[1] === '' ? null : parsePort(vsock[1]!, text, 0xffffffff);
    return { kind: 'vsock', cid, port: parsePort(vsock[2]!, text, 0xffffffff) };
  }

  const bracketed = /^\[(.*)\]:(.*)$/.exec(text);
  if (bracketed) {
    if (canonicalIPv6(bracketed[1]!) === null) throw badAddress(text, 'the text in brackets is not an IPv6 address');
    return { kind: 'inet', host: bracketed[1]!, port: parsePort(bracketed[2]!, text, 65535) };
  }
  const colon = text.indexOf(':');
  if (colon > 0 && net.isIPv4(text.slice(0, colon))) {
    return { kind: 'inet', host: text.slice(0, colon), port: parsePort(text.slice(colon + 1), text, 65535) };
  }
  throw badAddress(text, 'it is not a port, an IP address with a port, an absolute path or an @name');
}

function formatHostPort(host: string | null, port: number): string {
  if (host === null) return String(port);
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** An address, or the result of `server.address()`, as an address string; '(unnamed)' for null. */
export function formatAddress(address: Place | AddressInfo | string | null): string {
  if (address === null) return '(unnamed)';
  if (typeof address === 'string') return address.startsWith('\0') ? `@${address.slice(1)}` : address;
  if (!('kind' in address)) return formatHostPort(address.address, address.port);
  if (address.kind === 'unix' || address.kind === 'file') return formatAddress(address.path);
  if (address.kind === 'text') return address.text;
  if (address.kind === 'vsock') return `vsock:${address.cid ?? ''}:${address.port}`;
  return formatHostPort(address.host, address.port);
}

/**
 * IPv6 addresses have many spellings, and glibc's has dots (::ffff:127.0.0.1), the URL standard's has none. Null if
 * it is not one: says the same as net.isIPv6(), whose pattern takes 5 ms to compile.
 */
function canonicalIPv6(host: string): string | null {
  const parts = /^([0-9a-f:.]*:[0-9a-f:.]*)(%[0-9a-z.:-]+)?$/i.exec(host);
  if (!parts) return null;
  try {
    return new URL(`http://[${parts[1]}]`).hostname.slice(1, -1) + (parts[2] ?? '');
  } catch {
    return null;
  }
}

function canonicalHost(host: string): string {
  return canonicalIPv6(host) ?? host.toLowerCase();
}

/** Whether a number reaches this machine alone; null for a name, which may be anything until it is resolved. */
export function isLoopback(host: string): boolean | null {
  const canonical = canonicalIPv6(host);
  if (canonical !== null) return canonical === '::1' || /^::ffff:7f[0-9a-f]{2}:/.test(canonical);
  return net.isIPv4(host) ? host.startsWith('127.') : null;
}

/**
 * Whether a socket bound to `actual` will do for somebody who asks for `wanted`.
 *
 * No host means no opinion: the port decides. A dual-stack [::] will also do for 0.0.0.0.
 * A particular address never matches a wildcard: that socket would serve more networks than intended.
 * `localhost` is either loopback address. Other host names never match: resolve them first.
 */
export function matchesInet(wanted: Address & { kind: 'inet' }, actual: AddressInfo, ipv6Only: boolean): boolean {
  if (wanted.port !== 0 && wanted.port !== actual.port) return false;
  const dualStack = actual.address === '::' && !ipv6Only;
  if (wanted.host === null) return true;
  const host = canonicalHost(wanted.host);
  if (host === '0.0.0.0') return dualStack || actual.address === host;
  if (host === 'localhost' || host === 'localhost.') return actual.address === '127.0.0.1' || actual.address === '::1';
  return canonicalHost(actual.address) === host;
}
