/**
 * ListenMessageQueue=.
 *
 * ```ts
 * import { listenMessageQueue } from 'listenfds/sockets';
 * ```
 *
 * @module message-queues
 */
export {
  listenMessageQueue,
  type MessageQueueTarget,
  type MessageQueue,
  type MessageQueueEvents,
  type MessageQueueAttributes,
} from '../../src/sockets.js';
