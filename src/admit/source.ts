// Where a connection comes from, as the kernel says it. Where it says nothing (a client that has reset before it was
// accepted, an object that is no socket), nothing is known, and whoever asks has to refuse.
import type { Socket } from 'node:net';
import { AF } from '../receive/descriptor.js';
import { bindingIfAny } from '../system/addon.js';
import { net } from '../system/builtins.js';
import { handleOf } from '../system/node-server.js';
import { peerCredentials } from './peer.js';

/** What is known without asking who it is. */
export type Origin =
  | { readonly family: 'inet'; readonly address: string }
  | { readonly family: 'unix' }
  | { readonly family: 'vsock'; readonly cid: number }
  | { readonly family: 'unknown' };

const unknown: Origin = { family: 'unknown' };
const unix: Origin = { family: 'unix' };

/** An IPv4 client of a dual-stack socket as itself. */
const withoutMapping = (address: string): string => address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, '');

/** A connection of node:net: libuv has asked the kernel for its family, and its class tells. */
function originOfNetSocket(socket: Socket): Origin {
  const { remoteAddress } = socket;
  if (remoteAddress !== undefined) return { family: 'inet', address: withoutMapping(remoteAddress) };
  return handleOf(socket)?.constructor.name === 'Pipe' ? unix : unknown;
}

/**
 * A connection of ours. Never by the name of the other end: a unix client chooses that freely, an IP address for example.
 */
function originOfDescriptor(fd: unknown): Origin {
  const facts = typeof fd === 'number' && fd >= 0 ? bindingIfAny()?.facts(fd) : undefined;
  if (facts === undefined || typeof facts === 'number') return unknown;
  if (facts.domain === AF.UNIX) return unix;
  const cid = facts.domain === AF.VSOCK ? facts.peer?.cid : undefined;
  return cid === undefined ? unknown : { family: 'vsock', cid };
}

export function originOf(socket: Socket): Origin {
  return socket instanceof net.Socket ? originOfNetSocket(socket) : originOfDescriptor((socket as { fd?: unknown }).fd);
}

/** One IP address, one user of a unix socket, one virtual machine; null where it is not known which. */
export function sourceOf(socket: Socket): string | null {
  const origin = originOf(socket);
  if (origin.family === 'inet') return origin.address;
  if (origin.family === 'vsock') return `vsock CID ${origin.cid}`;
  if (origin.family === 'unknown') return null;
  try {
    return `uid ${peerCredentials(socket).uid}`;
  } catch {
    return null;
  }
}
