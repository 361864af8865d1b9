/**
 * Unix sockets that keep the borders of messages (ListenSequentialPacket=).
 *
 * ```ts
 * import { listenSequentialPacket, connectSequentialPacket } from 'listenfds/sockets';
 * ```
 *
 * @module packets
 */
export {
  listenSequentialPacket,
  connectSequentialPacket,
  type SequentialPacketTarget,
  type SequentialPacketOptions,
  type SequentialPacketServer,
  type SequentialPacketServerEvents,
  type SequentialPacketSocket,
} from '../../src/sockets.js';
