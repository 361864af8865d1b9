// The public surface: re-exports, and what has to be done before the program's first line.
import { detachOutputFromListener } from './receive/output.js';

export {
  describe,
  type Description,
  type Inode,
  type Kind,
  type SocketFamily,
  type SocketProtocol,
  type SocketType,
} from './receive/descriptor.js';
export type { Origin } from './receive/origin.js';
export type { Endpoint, ServerEndpoint } from './take/endpoint.js';
export { ListenFdsError, type ErrorCode, type ErrorDetails } from './system/errors.js';
export type { AcceptedPid } from './text/environment.js';
export { listenFds, type ListenFdsOptions } from './take/listen-fds.js';
export type { InheritedFd } from './receive/inherited.js';
export { listen, type Listening } from './listen/listen.js';
export { notifyBarrier, type NotifyBarrierOptions } from './manager/barrier.js';
export { booted, notify, type NotifyOptions } from './manager/notify.js';
export { removeStoredFds, storeFds, type StoreFdsOptions } from './manager/fd-store.js';
export type { NotifyState } from './text/notify-state.js';
export { startWatchdog, watchdogEnabled, type StartWatchdogOptions, type WatchdogOptions } from './manager/watchdog.js';
export { authorize, type Authorization, type AuthorizationLists, type AuthorizationRule } from './admit/authorize.js';
export {
  peerCredentials,
  type PeerCredentials,
  type ConnectionHolder,
  type DescriptorHolder,
  type PeerCredentialsOptions,
  type PeerSource,
} from './admit/peer.js';
export type { App } from './listen/frameworks/adapt.js';
export { drain, serve, storeConnections, upgradeState } from './service/entry.js';
export type { UpgradeOptions, UpgradeResult } from './service/upgrade.js';
export type { ServedApp, ServeOptions, Service, StopContext, StopReason, UpgradeTrigger } from './service/options.js';
export type { StatsMessage } from './service/status.js';
export type { DrainingEvent, DrainOptions, DrainResult } from './service/drain.js';
export type { ConnectionStats, RefusedMessage } from './admit/gate.js';
export type { RemoteEnd } from './sockets/accepted.js';
export type { CommonTarget, ListenTarget, Target } from './take/target.js';

detachOutputFromListener();
