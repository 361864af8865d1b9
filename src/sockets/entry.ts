// The doors to the room, part of the core: they load it when it is first asked for.
import type { Socket as UdpSocket } from 'node:dgram';
import type { Socket } from 'node:net';
import type { Duplex as DuplexStream } from 'node:stream';
import type { DatagramTarget, UnixDatagram } from './datagram.js';
import type { SpecialTarget } from './special.js';
import type { FifoTarget } from './fifo.js';
import type { MessageQueue, MessageQueueTarget } from './message-queue.js';
import type { NetlinkSocket, NetlinkTarget } from './netlink.js';
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

/**
 * ListenFIFO=: a readable stream of the inherited FIFO, or of the one at `target`, which is made where there is none. It
 * does not end between writers; `destroy()` closes it. Which one is taken is decided as in {@link listen}.
 *
 * @example
 * for await (const chunk of await listenFifo('/run/app/commands')) run(String(chunk));
 *
 * @throws ListenFdsError; docs/errors.md has every code
 * @throws an Error with code EEXIST where something else than a FIFO is there
 */
export async function listenFifo(target: string | FifoTarget): Promise<Socket> {
  return (await import('./room.js')).listenFifo(target);
}

/**
 * ListenSpecial=: a stream of the inherited character device or file, or of the one at `target`; writable where Writable=
 * (`writable: true`) says so. Which one is taken is decided as in {@link listen}.
 *
 * @throws ListenFdsError LISTENFDS_WRONG_KIND where it is no device or file, or cannot be written; docs/errors.md has the rest
 */
export async function listenSpecial(target: string | SpecialTarget): Promise<DuplexStream> {
  return (await import('./room.js')).listenSpecial(target);
}

/**
 * ListenNetlink=: the messages of the inherited netlink socket, or of one for `target`: a family and a mask of multicast
 * groups, as in the unit. Which one is taken is decided as in {@link listen}.
 *
 * @example
 * const devices = await listenNetlink('kobject-uevent 1');
 * devices.on('message', (message, { portId, uevent }) => portId === 0 && console.log(uevent));
 *
 * @throws ListenFdsError; docs/errors.md has every code
 */
export async function listenNetlink(target: string | NetlinkTarget): Promise<NetlinkSocket> {
  return (await import('./room.js')).listenNetlink(target);
}

/**
 * ListenMessageQueue=: the inherited POSIX message queue, or the one called `target`, which is made where there is none.
 * Which one is taken is decided as in {@link listen}.
 *
 * @example
 * const jobs = await listenMessageQueue({ address: '/jobs', maxMessages: 10, messageSize: 1024 });
 * jobs.on('message', (message, priority) => work(message));
 *
 * @throws ListenFdsError; docs/errors.md has every code
 * @throws what mq_open(3) fails with, EINVAL where the sizes are above the system's limits for example
 */
export async function listenMessageQueue(target: string | MessageQueueTarget): Promise<MessageQueue> {
  return (await import('./room.js')).listenMessageQueue(target);
}
