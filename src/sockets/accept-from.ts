// Accepting for a net.Server what it cannot listen on: a family that Node does not know, or any where a sandbox forbids
// listen(2), which Node calls again on what listens already.
import type { AddressInfo, Server, SocketConstructorOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import { isVsock } from '../receive/descriptor.js';
import type { Loan } from '../receive/lent.js';
import { binding } from '../system/addon.js';
import { net } from '../system/builtins.js';
import { Acceptor } from './acceptor.js';
import { attach, connect } from './attach.js';
import { DescriptorStream } from './descriptor-stream.js';

interface Behaviour {
  readonly allowHalfOpen?: boolean;
  readonly pauseOnConnect?: boolean;
  readonly noDelay?: boolean;
}

/** The server's object for an accepted connection. */
type Wrap = (fd: number, peer: string | null) => Duplex;

function vsockStreams({ allowHalfOpen = false }: Behaviour): Wrap {
  return (fd, remoteAddress) =>
    new DescriptorStream({ fd, subject: `fd ${fd}`, socket: true, allowHalfOpen, remoteAddress });
}

function nodeSockets({ allowHalfOpen = false, pauseOnConnect = false, noDelay = false }: Behaviour): Wrap {
  return (fd) => {
    const options = { fd, readable: true, writable: true, allowHalfOpen, pauseOnCreate: pauseOnConnect };
    const socket = new net.Socket(options as SocketConstructorOpts);
    if (noDelay) socket.setNoDelay(true);
    return socket;
  };
}

function accept(server: Server, fd: number, address: AddressInfo | string | null, wrap: Wrap): void {
  const acceptor = new Acceptor(fd, {
    accepted: (connection, peer) => {
      let socket: Duplex;
      try {
        socket = wrap(connection, peer);
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
  accept(server, fd, address, vsockStreams(server as Behaviour));
}

/**
 * The same for whatever was passed.
 *
 * @param shown what the server says of its address, if not what is known of it
 */
export function acceptInherited(
  server: Server,
  { fd, inherited }: Loan,
  shown: AddressInfo | string | null = null,
  signal?: AbortSignal,
): void {
  const { address, description } = inherited;
  accept(server, fd, shown ?? address, (isVsock(description) ? vsockStreams : nodeSockets)(server as Behaviour));
  if (!signal) return;
  const end = (): void => void server.close();
  if (signal.aborted) process.nextTick(end);
  signal.addEventListener('abort', end);
  server.once('close', () => signal.removeEventListener('abort', end));
}
