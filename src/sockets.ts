// listenfds/sockets: the Listen*= directives that Node core has no server for, one verb each.
export { authorizeDatagrams, type DatagramAuthorizationRule } from './sockets/authorize-datagrams.js';
export {
  listenDatagram,
  type DatagramEndpoint,
  type DatagramInfo,
  type DatagramSendOptions,
  type DatagramTarget,
  type UnixDatagram,
  type UnixDatagramEvents,
} from './sockets/datagram.js';
export { listenFifo, type FifoTarget } from './sockets/fifo.js';
export {
  listenMessageQueue,
  type MessageQueue,
  type MessageQueueAttributes,
  type MessageQueueEvents,
  type MessageQueueTarget,
} from './sockets/message-queue.js';
export {
  listenNetlink,
  type NetlinkDestination,
  type NetlinkEvents,
  type NetlinkInfo,
  type NetlinkSocket,
  type NetlinkTarget,
  type Uevent,
} from './sockets/netlink.js';
export {
  connectSequentialPacket,
  listenSequentialPacket,
  type SequentialPacketOptions,
  type SequentialPacketServer,
  type SequentialPacketServerEvents,
  type SequentialPacketSocket,
  type SequentialPacketTarget,
} from './sockets/sequential-packet.js';
export { listenSpecial, type SpecialTarget } from './sockets/special.js';
export type { SendCallback } from './sockets/mailbox.js';
export type { MessageCredentials } from './sockets/receive.js';
export type { Authorization, AuthorizationLists, SenderCredentials } from './admit/authorize.js';
export type { Endpoint, ServerEndpoint, SocketEndpoint } from './take/endpoint.js';
export type { Origin } from './receive/origin.js';
export type { CommonTarget } from './take/target.js';
