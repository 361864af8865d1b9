// Everything that is loaded when a program first asks for a socket that Node core lacks: dist/sockets.js.
export { listenDatagram } from './datagram.js';
export { connectSequentialPacket, listenSequentialPacket } from './sequential-packet.js';
export { expectConnection, remoteEnd, serveConnection } from './connection.js';
export { acceptInherited, openVsock } from './vsock.js';
export { listenFifo } from './fifo.js';
export { listenMessageQueue } from './message-queue.js';
export { listenNetlink } from './netlink.js';
export { listenSpecial } from './special.js';
