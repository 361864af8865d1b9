// Accepting for a net.Server on a socket that it cannot listen on: a family that Node does not know, or any if a sandbox forbids
// listen(2), which Node calls again on a socket that listens already.
import type { AddressInfo, Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { isVsock } from '../receive/descriptor.js';
import type { Loan } from '../receive/lent.js';
import { binding } from '../system/addon.js';
import { Acceptor } from './acceptor.js';
import { type Behaviour, attach, connect, socketFor } from './attach.js';
import { DescriptorStream } from './descriptor-stream.js';

/** The server's object for an accepted connection. */
type Wrap = (server: Server, fd: number, peer: string | null) => Duplex;

const vsockStream: Wrap = (server, fd, remoteAddress) => {
  const { allowHalfOpen = false } = server as Behaviour;
  return new DescriptorStream({ fd, subject: `fd ${fd}`, socket: true, allowHalfOpen, remoteAddress });
};

function accept(server: Server, fd: number, address: AddressInfo | string | null, wrap: Wrap): void {
  const acceptor = new Acceptor(fd, {
    accepted: (connection, peer) => {
      let socket: Duplex;
      try {
        socket = wrap(server, connection, peer);
      } catch (error) {
        binding().closeFd(connection);
        server.emit('error', error);
        return;
      }
      socket.once('close', () => acceptor.freed());
      connect(server, socket);
    },
    failed: (error) => server.emit('error', error),
    closed: () => {},
  });
  const listener = {
    fd,
    close: () => acceptor.close(),
    ref: () => acceptor.ref(true),
    unref: () => acceptor.ref(false),
  };
  attach(server, listener, address);
}

/** Has `server` take the connections of a listening vsock descriptor; 'listening' follows. */
export function acceptVsock(server: Server, fd: number, address: string | null): void {
  accept(server, fd, address, vsockStream);
}

/**
 * The same for whatever was passed.
 *
 * @param shown the address that the server reports, if not the one that is known
 */
export function acceptInherited(
  server: Server,
  { fd, inherited }: Loan,
  shown: AddressInfo | string | null = null,
  signal?: AbortSignal,
): void {
  const { address, description } = inherited;
  accept(server, fd, shown ?? address, isVsock(description) ? vsockStream : socketFor);
  if (!signal) return;
  const end = (): void => void server.close();
  if (signal.aborted) process.nextTick(end);
  signal.addEventListener('abort', end);
  server.once('close', () => signal.removeEventListener('abort', end));
}
