// Where a connection comes from, as the kernel says it. If it says nothing (a client that has reset before it was
// accepted, an object that is not a socket), nothing is known, and whoever asks has to refuse.
import type { Socket } from 'node:net';
import { AF } from '../receive/descriptor.js';
import { bindingIfAny } from '../system/addon.js';
import { net } from '../system/builtins.js';
import { isPipe } from '../system/node-server.js';
import { peerCredentials } from './peer.js';

/** The source of a connection, as far as no system call is needed. */
export type ClientAddress =
  | { readonly family: 'inet'; readonly address: string }
  | { readonly family: 'unix' }
  | { readonly family: 'vsock'; readonly cid: number }
  | { readonly family: 'unknown' };

const unknown: ClientAddress = { family: 'unknown' };
const unix: ClientAddress = { family: 'unix' };

/** An IPv4 client of a dual-stack socket as itself. */
const withoutMapping = (address: string): string => address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, '');

/** A connection of node:net: libuv has asked the kernel for its family, and its class tells. */
function addressOfNetSocket(socket: Socket): ClientAddress {
  const { remoteAddress } = socket;
  if (remoteAddress !== undefined) return { family: 'inet', address: withoutMapping(remoteAddress) };
  return isPipe(socket) ? unix : unknown;
}

/**
 * A connection of ours. Never by the name of the other end: a unix client chooses that freely, an IP address for example.
 */
function addressOfDescriptor(fd: unknown): ClientAddress {
  const facts = typeof fd === 'number' && fd >= 0 ? bindingIfAny()?.facts(fd) : undefined;
  if (facts === undefined || typeof facts === 'number') return unknown;
  if (facts.domain === AF.UNIX) return unix;
  const cid = facts.domain === AF.VSOCK ? facts.peer?.cid : undefined;
  return cid === undefined ? unknown : { family: 'vsock', cid };
}

export function clientAddress(socket: Socket): ClientAddress {
  return socket instanceof net.Socket
    ? addressOfNetSocket(socket)
    : addressOfDescriptor((socket as { fd?: unknown }).fd);
}

/** One IP address, one user of a unix socket, one virtual machine; null if it is not known which. */
export function clientSource(socket: Socket): string | null {
  const client = clientAddress(socket);
  if (client.family === 'inet') return client.address;
  if (client.family === 'vsock') return `vsock CID ${client.cid}`;
  if (client.family === 'unknown') return null;
  try {
    return `uid ${peerCredentials(socket).uid}`;
  } catch {
    return null;
  }
}
