// The doors to the room, part of the core: they load it when it is first asked for.
import type { Socket as UdpSocket } from 'node:dgram';
import type { DatagramTarget, UnixDatagram } from './datagram.js';
import type {
  SequentialPacketOptions,
  SequentialPacketServer,
  SequentialPacketSocket,
  SequentialPacketTarget,
} from './sequential-packet.js';

/**
 * ListenDatagram=: the inherited datagram socket, or one bound to `target`. UDP is a dgram.Socket of the descriptor's own
 * family, with Broadcast= as it was; a unix datagram socket is a {@link UnixDatagram}. Which one is taken is decided as
 * in {@link listen}.
 *
 * @example
 * const log = await listenDatagram('/run/app/log.sock');
 * log.on('message', (message, { path }) => console.log(path, message.toString()));
 *
 * @throws ListenFdsError; docs/errors.md has every code
 * @throws what binding fails with, EADDRINUSE for example
 */
export async function listenDatagram(target: number | string | DatagramTarget): Promise<UdpSocket | UnixDatagram> {
  return (await import('./room.js')).listenDatagram(target);
}

/**
 * ListenSequentialPacket=: a server on the inherited unix sequential-packet listener, or on one bound to `target`. Which
 * one is taken is decided as in {@link listen}.
 *
 * @example
 * const server = await listenSequentialPacket('/run/app/control');
 * server.on('connection', (socket) => socket.on('data', (packet) => socket.write(packet)));
 *
 * @throws ListenFdsError; docs/errors.md has every code
 * @throws what binding fails with, EADDRINUSE for example
 */
export async function listenSequentialPacket(target: string | SequentialPacketTarget): Promise<SequentialPacketServer> {
  return (await import('./room.js')).listenSequentialPacket(target);
}

/**
 * Connects to a sequential-packet listener, by its path or `@name`.
 *
 * @throws an Error with code ENOENT, ECONNREFUSED, or EAGAIN where the listener's queue is full
 */
export async function connectSequentialPacket(
  address: string,
  options?: SequentialPacketOptions,
): Promise<SequentialPacketSocket> {
  return (await import('./room.js')).connectSequentialPacket(address, options);
}
