// ListenMessageQueue=: a POSIX message queue, mq_overview(7).
import { type Ended, onceGone, registerOwn } from '../open/own.js';
import { cancel, lend } from '../receive/lent.js';
import { binding, systemError } from '../system/addon.js';
import { fs } from '../system/builtins.js';
import { EAGAIN } from '../system/errnos.js';
import { ownerOf } from '../system/users.js';
import { type SocketEndpoint, endpoint } from '../take/endpoint.js';
import { takeInherited } from '../take/take.js';
import { type CommonTarget, type Wanted, commonOptions, ownerOptions, parseTarget } from '../take/target.js';
import { badAddress } from '../text/address.js';
import { type TableOf, badOption, readOption, whole } from '../text/options.js';
import { type TextAddress, noAddress } from './file-address.js';
import { Mailbox, type SendCallback, bytesOf, promised } from './mailbox.js';

/** Which queue, and how it is made. */
export interface MessageQueueTarget extends CommonTarget {
  /** MessageQueueMaxMessages= of a queue we make. Default: the system's. */
  maxMessages?: number;
  /** MessageQueueMessageSize= of a queue we make, in bytes. Default: the system's. */
  messageSize?: number;
}

/** mq_getattr(3). */
export interface MessageQueueAttributes {
  /** How many messages it holds. */
  readonly maxMessages: number;
  /** How long one may be, in bytes. */
  readonly messageSize: number;
  /** How many wait now. */
  readonly messages: number;
}

/** Events of a {@link MessageQueue}. */
export interface MessageQueueEvents {
  /** One message, the highest priority first. */
  message: [message: Buffer, priority: number];
  /** Reading failed: the queue has been closed. */
  error: [error: Error];
  /** The descriptor is closed. */
  close: [];
}

function attributesOf(fd: number, subject: string): MessageQueueAttributes {
  const facts = binding().facts(fd);
  if (typeof facts === 'number') throw systemError(facts, 'mq_getattr', subject);
  return facts.messageQueue!;
}

/** Messages arrive in the order of their priority. While nobody listens for 'message' they stay in the queue. */
export class MessageQueue extends Mailbox<MessageQueueEvents> {
  /** With its slash. */
  readonly name: string;
  readonly #buffer: Buffer;
  readonly #priority = new Uint32Array(1);
  readonly #writable: boolean;
  /** systemd opens the queue for reading only; who sends needs a descriptor of its own. */
  #sender: number | null = null;

  /** @internal */
  constructor(fd: number, name: string, writable: boolean) {
    const { messageSize } = attributesOf(fd, name);
    super(fd, name);
    this.onceClosed(() => {
      if (this.#sender !== null) binding().closeFd(this.#sender);
      this.#sender = null;
    });
    this.name = name;
    this.#writable = writable;
    this.#buffer = Buffer.allocUnsafeSlow(messageSize);
  }

  /**
   * How large the queue is, and how full it is now.
   *
   * @throws ListenFdsError LISTENFDS_CLOSED
   */
  get attributes(): MessageQueueAttributes {
    return attributesOf(this.fd, this.name);
  }

  protected override receive(deliver: (message: Buffer, priority: unknown) => void): number {
    let count = 0;
    while (count < 32) {
      const size = binding().receiveFromMessageQueue(this.watcher.fd, this.#buffer, this.#priority);
      if (size < 0) return count > 0 && size === EAGAIN ? count : size;
      deliver(Buffer.from(this.#buffer.subarray(0, size)), this.#priority[0]);
      count += 1;
    }
    return count;
  }

  protected override isFull(count: number): boolean {
    return count === 32;
  }

  #descriptorToSend(): number {
    const { fd } = this; // throws if it is closed
    if (this.#writable) return fd;
    if (this.#sender === null) {
      // Not by its name: another queue may have that by now, or none.
      const { O_NONBLOCK, O_WRONLY } = fs.constants;
      this.#sender = fs.openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK);
    }
    return this.#sender;
  }

  /**
   * Puts a message into the queue, or waits for room. The receiver gets the highest priority first.
   *
   * Without a callback: a promise of the bytes sent, which fails with EMSGSIZE if the message is longer than the queue
   * takes.
   */
  send(message: string | Uint8Array | DataView, priority?: number): Promise<number>;
  send(message: string | Uint8Array | DataView, priority: number, callback: SendCallback): void;
  send(message: string | Uint8Array | DataView, priority = 0, callback?: SendCallback): Promise<number> | void {
    return promised(callback, (done) => {
      const data = bytesOf(message);
      readOption(anyPriority, priority, 'priority');
      const fd = this.#descriptorToSend();
      const send = (): number => {
        const result = binding().sendToMessageQueue(fd, data, priority);
        return result < 0 ? result : data.byteLength;
      };
      this.post('', this.#writable, send, data.byteLength, done);
    }) as Promise<number>;
  }
}

/** The options of listenMessageQueue(). */
export const messageQueueOptions = {
  ...commonOptions,
  ...ownerOptions,
  maxMessages: whole(1, 2 ** 31 - 1),
  messageSize: whole(1, 2 ** 31 - 1, 'bytes'),
} satisfies TableOf<MessageQueueTarget>;

/** MQ_PRIO_MAX is 32768. */
const anyPriority = whole(0, 32767);

const queueSpelling = {
  parse(text: string): TextAddress {
    if (!/^\/[^/\0]{1,254}$/.test(text))
      throw badAddress(text, 'a message queue is called /name, without another slash');
    return { kind: 'text' as const, text };
  },
  ports: false,
  options: messageQueueOptions,
};

function queueEnd(name: string, { removeOnStop }: Wanted<TextAddress>): Ended {
  return (handedOver) => {
    if (removeOnStop && !handedOver) binding().unlinkMessageQueue(name);
  };
}

function openMessageQueue(name: string, wanted: Wanted<TextAddress>, target: MessageQueueTarget): MessageQueue {
  const { maxMessages = 0, messageSize = 0 } = target;
  if ((maxMessages === 0) !== (messageSize === 0)) {
    throw badOption('maxMessages and messageSize are given together or not at all');
  }
  const owner = ownerOf(wanted);
  const mode = wanted.mode ?? 0o666 & ~process.umask();
  const fd = binding().openMessageQueue(name, mode, maxMessages, messageSize);
  if (fd < 0) throw systemError(fd, 'mq_open', name);
  try {
    if (owner.uid !== -1 || owner.gid !== -1) fs.fchownSync(fd, owner.uid, owner.gid);
    // mq_open(3) applies the umask, and an existing queue has the mode it has.
    if (wanted.mode !== null) fs.fchmodSync(fd, mode);
    const queue = new MessageQueue(fd, name, true);
    queue.onceClosed(registerOwn(fd, wanted, queueEnd(name, wanted)));
    return queue;
  } catch (error) {
    binding().closeFd(fd);
    throw error;
  }
}

/**
 * ListenMessageQueue=: the inherited POSIX message queue, or the one called `target`, which is made if there is none.
 * Which one is taken is decided as in listen().
 *
 * @example
 * const { socket: jobs } = await listenMessageQueue({ address: '/jobs', maxMessages: 10, messageSize: 1024 });
 * jobs.on('message', (message, priority) => work(message));
 *
 * @throws ListenFdsError; docs/errors.md has every code
 * @throws the error of mq_open(3), EINVAL if the sizes are above the system's limits for example
 */
export async function listenMessageQueue(given: string | MessageQueueTarget): Promise<SocketEndpoint<MessageQueue>> {
  const wanted = parseTarget(given, undefined, queueSpelling);
  const target: MessageQueueTarget = typeof given === 'object' ? given : {};
  const inherited = await takeInherited(wanted, { what: 'a message queue', is: ({ kind }) => kind === 'mqueue' });
  if (!inherited) {
    const { text } = wanted.address ?? noAddress();
    return { socket: openMessageQueue(text, wanted, target), ...endpoint(null, text) };
  }
  const loan = lend(inherited);
  try {
    const name = String(inherited.address);
    const socket = new MessageQueue(loan.fd, name, inherited.description.writable);
    socket.onceClosed(onceGone(loan, wanted, () => queueEnd(name, wanted)));
    return { socket, ...endpoint(inherited, name) };
  } catch (error) {
    cancel(loan);
    throw error;
  }
}
