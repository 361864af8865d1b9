// The doors to the room, part of the core: they load it when it is first asked for.
import type { Socket as UdpSocket } from 'node:dgram';
import type { DatagramTarget, UnixDatagram } from './datagram.js';

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
