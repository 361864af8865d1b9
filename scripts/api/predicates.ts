/**
 * sd_is_socket(3) and its relatives, one function for each.
 *
 * ```ts
 * import { isFifo, isMessageQueue, isSocket, isSocketInet, isSocketSockaddr, isSocketUnix, isSpecial } from 'listenfds/sd';
 * ```
 *
 * @module predicates
 */
export {
  isFifo,
  isMessageQueue,
  isSocket,
  isSocketInet,
  isSocketSockaddr,
  isSocketUnix,
  isSpecial,
  type SocketAddressLike,
} from '../../src/sd.js';
