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
  type SocketFamily,
  type SocketType,
} from './receive/predicates.js';
