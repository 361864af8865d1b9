/**
 * Messages from the kernel (ListenNetlink=).
 *
 * ```ts
 * import { listenNetlink } from 'listenfds/sockets';
 * ```
 *
 * @module netlink
 */
export {
  listenNetlink,
  type NetlinkTarget,
  type NetlinkSocket,
  type NetlinkEvents,
  type NetlinkInfo,
  type NetlinkDestination,
  type Uevent,
} from '../../src/sockets.js';
