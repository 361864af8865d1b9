/**
 * listen() takes the socket that was passed, or binds one. listenFds() lists what was passed, of any kind.
 *
 * ```ts
 * import { listen, listenFds, describe } from 'listenfds';
 * ```
 *
 * @module receive
 */
export {
  listen,
  listenFds,
  describe,
  type App,
  type Target,
  type ListenTarget,
  type CommonTarget,
  type Listening,
  type Endpoint,
  type ServerEndpoint,
  type Origin,
  type InheritedFd,
  type ListenFdsOptions,
  type AcceptedPid,
  type RemoteEnd,
  type Description,
  type Inode,
  type Kind,
  type SocketFamily,
  type SocketProtocol,
  type SocketType,
} from '../../src/index.js';
