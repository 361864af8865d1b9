// Limits and address lists, enforced here for adopted and self-bound listeners alike: systemd's MaxConnections= and
// MaxConnectionsPerSource= act for Accept=yes only.
import type { BlockList, Server, Socket } from 'node:net';
import { net } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { type Gate, gatekeeper } from './gate.js';
import { peerCredentials } from './peer.js';

/** Who may connect, and how many at once. */
export interface Limits {
  /** Connections open at once; more are closed at once. Enforced here, for inherited sockets too. */
  maxConnections?: number;
  /** Connections open at once from one IP address, or from one user over a unix socket. */
  maxConnectionsPerSource?: number;
  /** IP addresses and networks (`10.0.0.0/8`) that may connect; nobody else may. */
  allow?: BlockList | readonly string[];
  /** IP addresses and networks that may not connect, whatever `allow` says. */
  deny?: BlockList | readonly string[];
}

function count(option: string, value: unknown): number {
  if (Number.isInteger(value) && (value as number) > 0) return value as number;
  throw new ListenFdsError('LISTENFDS_BAD_OPTION', `${option} is ${String(value)}, but must be a whole number above 0`);
}

function addresses(option: string, value: BlockList | readonly string[]): BlockList {
  if (value instanceof net.BlockList) return value;
  const badEntry = (entry: unknown): ListenFdsError =>
    new ListenFdsError(
      'LISTENFDS_BAD_OPTION',
      `${option}: ${JSON.stringify(entry)} is no IP address and no network such as 10.0.0.0/8`,
    );
  if (!Array.isArray(value)) throw badEntry(value);
  const list = new net.BlockList();
  for (const entry of value as readonly unknown[]) {
    const [address = '', prefix, ...more] = typeof entry === 'string' ? entry.split('/') : [];
    const family = net.isIP(address);
    if (family === 0 || more.length > 0) throw badEntry(entry);
    const type = family === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) {
      list.addAddress(address, type);
      continue;
    }
    const bits = /^[0-9]+$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (!(bits <= (family === 6 ? 128 : 32))) throw badEntry(entry);
    list.addSubnet(address, bits, type);
  }
  return list;
}

/** Where a connection comes from: the IP address, an IPv4 one that came in over a dual-stack socket as itself. */
function sourceAddress(socket: Socket): string | null {
  return socket.remoteAddress?.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, '') ?? null;
}

/** The IP address, or who is on the other end of a unix socket. */
function sourceOf(socket: Socket): string | null {
  const address = sourceAddress(socket);
  if (address !== null) return address;
  try {
    return `uid ${peerCredentials(socket).uid}`;
  } catch {
    return null; // gone already, or no unix socket
  }
}

function limitPerSource(most: number): Gate {
  const open = new Map<string, number>();
  return (socket) => {
    const source = sourceOf(socket);
    if (source === null) return null;
    const connections = open.get(source) ?? 0;
    if (connections >= most) return `maxConnectionsPerSource: ${source} has ${connections} connections`;
    open.set(source, connections + 1);
    socket.once('close', () => {
      const left = open.get(source)! - 1;
      if (left === 0) open.delete(source);
      else open.set(source, left);
    });
    return null;
  };
}

function listed(list: BlockList, address: string): boolean {
  return list.check(address, net.isIPv6(address) ? 'ipv6' : 'ipv4');
}

/**
 * Puts the limits before a server. A connection passes if it is in no `deny` list, in `allow` where there is one, and
 * within the counts; lists do not concern unix sockets.
 *
 * @throws ListenFdsError LISTENFDS_BAD_OPTION; then nothing was put in place
 */
export function limit(server: Server, limits: Limits): void {
  const keeper = gatekeeper(server);
  const gates: Gate[] = [];
  if (limits.deny !== undefined) {
    const deny = addresses('deny', limits.deny);
    gates.push((socket) => {
      const address = sourceAddress(socket);
      return address !== null && listed(deny, address) ? `deny: ${address}` : null;
    });
  }
  if (limits.allow !== undefined) {
    const allow = addresses('allow', limits.allow);
    gates.push((socket) => {
      const address = sourceAddress(socket);
      return address !== null && !listed(allow, address) ? `allow: ${address} is not in it` : null;
    });
  }
  if (limits.maxConnections !== undefined) {
    const most = count('maxConnections', limits.maxConnections);
    gates.push(() => (keeper.active >= most ? `maxConnections: ${most} are open` : null));
  }
  // Last: it counts what it lets in.
  if (limits.maxConnectionsPerSource !== undefined) {
    gates.push(limitPerSource(count('maxConnectionsPerSource', limits.maxConnectionsPerSource)));
  }
  keeper.gates.push(...gates);
}
