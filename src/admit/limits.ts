// Limits and address lists, enforced here for adopted and self-bound listeners alike: systemd's MaxConnections= and
// MaxConnectionsPerSource= act for Accept=yes only.
import type { EventEmitter } from 'node:events';
import type { BlockList, Server } from 'node:net';
import { net } from '../system/builtins.js';
import { badOption, readOption, whole } from '../text/options.js';
import { type Gate, gatekeeper, gone } from './gate.js';
import { type ClientAddress, clientAddress, clientSource } from './client.js';

/** Which clients may connect, and how many at once. */
export interface Limits {
  /** Connections open at once; more are closed at once. Enforced here, for inherited sockets too. */
  maxConnections?: number;
  /** Connections open at once from one IP address, from one user over a unix socket, from one CID over vsock. */
  maxConnectionsPerSource?: number;
  /** IP addresses and networks (`10.0.0.0/8`) that may connect; nobody else may. */
  allow?: BlockList | readonly string[];
  /** IP addresses and networks that may not connect, whatever `allow` says. */
  deny?: BlockList | readonly string[];
}

function addresses(option: string, value: BlockList | readonly string[]): BlockList {
  if (value instanceof net.BlockList) return value;
  const badEntry = (entry: unknown): Error =>
    badOption(`${option} has ${JSON.stringify(entry)}, which is not an IP address or a network such as 10.0.0.0/8`);
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

// A client that resets before accept(2) has no address any more, but its request can be read all the same.
const unknown = 'where it comes from is not known';

function limitPerSource(most: number): Gate {
  const open = new Map<string, number>();
  return (socket) => {
    const source = clientSource(socket);
    if (source === null) return `maxConnectionsPerSource: ${unknown}`;
    const connections = open.get(source) ?? 0;
    if (connections >= most) return `maxConnectionsPerSource: ${source} has ${connections} connections`;
    open.set(source, connections + 1);
    (socket as EventEmitter).once(gone, () => {
      const left = open.get(source)! - 1;
      if (left === 0) open.delete(source);
      else open.set(source, left);
    });
    return null;
  };
}

function listed(list: BlockList, client: ClientAddress): boolean {
  if (client.family !== 'inet') return false;
  return list.check(client.address, net.isIPv6(client.address) ? 'ipv6' : 'ipv4');
}

const nameOf = (client: ClientAddress): string =>
  client.family === 'inet' ? client.address : client.family === 'vsock' ? `vsock CID ${client.cid}` : unknown;

/**
 * Puts the limits before a server. A connection passes if it is in no `deny` list, in `allow` if there is one, and
 * within the counts. The lists do not concern unix sockets. A connection whose address the kernel does not tell is refused
 * by each of them.
 *
 * @throws ListenFdsError LISTENFDS_BAD_OPTION; then nothing was put in place
 */
export function limit(server: Server, limits: Limits): void {
  const keeper = gatekeeper(server);
  const gates: Gate[] = [];
  if (limits.deny !== undefined) {
    const deny = addresses('deny', limits.deny);
    gates.push((socket) => {
      const client = clientAddress(socket);
      return client.family === 'unknown' || listed(deny, client) ? `deny: ${nameOf(client)}` : null;
    });
  }
  if (limits.allow !== undefined) {
    const allow = addresses('allow', limits.allow);
    gates.push((socket) => {
      const client = clientAddress(socket);
      if (client.family === 'unix' || listed(allow, client)) return null;
      return `allow: ${nameOf(client)}${client.family === 'unknown' ? '' : ' is not in it'}`;
    });
  }
  if (limits.maxConnections !== undefined) {
    const most = readOption(whole(1), limits.maxConnections, 'maxConnections');
    gates.push(() => (keeper.holds(most) ? `maxConnections: ${most} are open` : null));
  }
  // Last: it counts the connections that it lets in.
  if (limits.maxConnectionsPerSource !== undefined) {
    gates.push(limitPerSource(readOption(whole(1), limits.maxConnectionsPerSource, 'maxConnectionsPerSource')));
  }
  keeper.gates.push(...gates);
}
