// listenfds/sd: sd_is_*(3), one to one.
export {
  isFifo,
  isMessageQueue,
  isSocket,
  isSocketInet,
  isSocketSockaddr,
  isSocketUnix,
  isSpecial,
  type SocketAddressLike,
} from './receive/predicates.js';
export type { SocketFamily, SocketType } from './receive/descriptor.js';
