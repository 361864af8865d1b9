// Accept=yes: the manager accepted, and passes the one connection that this process is for.
import type { AddressInfo, Server } from 'node:net';
import { isVsock } from '../receive/descriptor.js';
import type { InheritedFd } from '../receive/inherited.js';
import { binding } from '../system/addon.js';
import { formatAddress } from '../text/address.js';
import { type Behaviour, attach, connect, socketFor } from './attach.js';
import { DescriptorStream } from './descriptor-stream.js';

/** The other end of the connection that Accept=yes passed. */
export interface RemoteEnd {
  /** REMOTE_ADDR as the manager set it: an IP address, or a unix path; else the kernel's answer. */
  readonly address: string | null;
  /** REMOTE_PORT; null if it has none. */
  readonly port: number | null;
}

/** systemd.socket(5), Accept=. */
export function remoteEnd({ peer }: { readonly peer: AddressInfo | string | null }, env: NodeJS.ProcessEnv): RemoteEnd {
  const known = typeof peer === 'object' && peer !== null;
  const port = /^[0-9]+$/.test(env['REMOTE_PORT'] ?? '') ? Number(env['REMOTE_PORT']) : known ? peer.port : null;
  const found = known ? peer.address : peer === null ? null : formatAddress(peer);
  return { address: env['REMOTE_ADDR'] ?? found, port };
}

/** Makes `server` ready for the connection: to the framework around it, it listens. */
export function expectConnection(server: Server, inherited: InheritedFd): void {
  attach(server, { close: () => {}, ref: () => {}, unref: () => {} }, inherited.address);
}

/** Serves the connection; when it closes, the server closes as well, and with it the process's work is done. */
export function serveConnection(server: Server, { fd, description }: InheritedFd): void {
  setImmediate(() => {
    // As after accept(2), whoever called listen() has had time to listen for 'connection'.
    if (server.listening) serveNow(server, fd, isVsock(description));
    else binding().closeFd(fd);
  });
}

function serveNow(server: Server, fd: number, vsock: boolean): void {
  const { allowHalfOpen = false } = server as Behaviour;
  const socket = vsock
    ? new DescriptorStream({ fd, subject: `fd ${fd}`, socket: true, allowHalfOpen })
    : socketFor(server, fd);
  socket.once('close', () => {
    if (server.listening) server.close();
  });
  connect(server, socket);
}
