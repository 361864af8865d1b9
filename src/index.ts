// The public surface: re-exports only.
export { describe, type Description, type Inode, type Kind } from './descriptor.js';
export { ListenFdsError, type ErrorCode, type ErrorDetails } from './errors.js';
export { listenFds, type InheritedFd, type ListenFdsOptions } from './inherited.js';
export { listen, type Listening } from './listen.js';
export { booted, notify, notifyBarrier, type NotifyBarrierOptions, type NotifyOptions } from './notify.js';
export { removeStoredFds, storeFds, type StoreFdsOptions } from './fd-store.js';
export type { NotifyState } from './notify-state.js';
export { watchdogEnabled } from './watchdog.js';
export {
  authorize,
  authorizeDatagrams,
  type Authorization,
  type AuthorizationLists,
  type AuthorizationRule,
  type DatagramAuthorizationRule,
  type SenderCredentials,
} from './authorize.js';
export {
  peerCredentials,
  type PeerCredentials,
  type ConnectionHolder,
  type DescriptorHolder,
  type PeerCredentialsOptions,
  type PeerSource,
} from './peer.js';
export {
  isFifo,
  isMessageQueue,
  isSocket,
  isSocketInet,
  isSocketSockaddr,
  isSocketUnix,
  isSpecial,
  type SocketAddressLike,
  type SocketFamily,
  type SocketType,
} from './predicates.js';
export type { App } from './frameworks.js';
export { drain, serve, storeConnections, upgradeState } from './service/entry.js';
export type { UpgradeOptions, UpgradeResult } from './service/upgrade.js';
export type { ServedApp, ServeOptions, Service, StopContext, StopReason, UpgradeTrigger } from './service/options.js';
export type { StatsMessage } from './service/status.js';
export type { DrainingEvent, DrainOptions, DrainResult } from './service/drain.js';
export type { ConnectionStats, RefusedMessage } from './gate.js';
export {
  connectSequentialPacket,
  listenDatagram,
  listenFifo,
  listenMessageQueue,
  listenNetlink,
  listenSequentialPacket,
  listenSpecial,
} from './sockets/entry.js';
export type { FifoTarget } from './sockets/fifo.js';
export type {
  MessageQueue,
  MessageQueueAttributes,
  MessageQueueEvents,
  MessageQueueTarget,
} from './sockets/message-queue.js';
export type {
  NetlinkDestination,
  NetlinkEvents,
  NetlinkInfo,
  NetlinkSocket,
  NetlinkTarget,
  Uevent,
} from './sockets/netlink.js';
export type { SpecialTarget } from './sockets/special.js';
export type { RemoteEnd } from './sockets/connection.js';
export type {
  SequentialPacketOptions,
  SequentialPacketServer,
  SequentialPacketServerEvents,
  SequentialPacketSocket,
  SequentialPacketTarget,
} from './sockets/sequential-packet.js';
export type {
  DatagramInfo,
  DatagramSendOptions,
  DatagramTarget,
  UnixDatagram,
  UnixDatagramEvents,
} from './sockets/datagram.js';
export type { SendCallback } from './sockets/mailbox.js';
export type { MessageCredentials } from './sockets/receive.js';
export type { CommonTarget, ListenTarget, Target } from './target.js';

// What the rooms that are loaded on demand (build.js) and this package's own tests share with this file. Not public.
/** @internal */
export * as internal from './internal.js';
