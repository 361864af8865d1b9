// Receiving messages in batches: recvmmsg(2) into memory that every socket of this thread shares, since nothing waits
// between receiving a batch and copying it out.
import { binding } from '../system/addon.js';
import { EAGAIN, EBUSY } from '../system/errnos.js';
import type { Watcher } from '../system/watcher.js';
import { whole } from '../text/options.js';

/** SCM_CREDENTIALS: who sent a message, as the kernel verified it. */
export interface MessageCredentials {
  /** The process; for log lines, since the number may belong to another by now. */
  readonly pid: number;
  /** Its user id: the real, effective or saved one, as it chose. */
  readonly uid: number;
  /** Its group id: the real, effective or saved one, as it chose. */
  readonly gid: number;
}

/** The columns and bits of the table, as in native/message.cc. */
const column = {
  length: 0,
  flags: 1,
  nameLength: 2,
  fdCount: 3,
  fdOffset: 4,
  pid: 5,
  uid: 6,
  gid: 7,
  labelOffset: 8,
  labelLength: 9,
  secondsLow: 10,
  secondsHigh: 11,
  nanoseconds: 12,
  group: 13,
} as const;
const flag = { truncated: 1, controlTruncated: 2, credentials: 4, timestamp: 8, group: 16, sameName: 32 } as const;

/** The longest message that is received whole unless maxMessageSize says more: more than a default buffer can send. */
export const defaultMessageSize = 256 * 1024;

/** The option for it. */
export const maxMessageSize = { ...whole(1, 1 << 26, 'bytes'), default: defaultMessageSize };

/** How much memory a batch is given, in bytes; of the largest messages it holds one. */
const arenaSize = 64 << 20;

/** A batch of messages in the shared memory; valid until the next receive(). */
export class Batch {
  /** How many messages are received at a time. */
  size = 0;
  readonly #batch: number;
  #payload = 0;
  #most = 0;
  #stride = 0;
  readonly #nameSize: number;
  readonly #controlSize: number;
  readonly #fields: number;
  readonly #table: Int32Array;
  /** Pages of it that no message has reached yet take no memory. */
  #arena!: Buffer;
  #words!: Int32Array;
  #name: string | null = null;

  constructor() {
    const { batch, nameSize, controlSize, fields } = binding().messageLayout();
    this.#batch = batch;
    this.#nameSize = nameSize;
    this.#controlSize = controlSize;
    this.#fields = fields;
    this.#table = new Int32Array(batch * fields);
    this.reserve(defaultMessageSize);
  }

  /** Makes room for messages of that size. */
  reserve(messageSize: number): void {
    if (messageSize <= this.#payload) return;
    this.#payload = (messageSize + 7) & ~7;
    this.#stride = this.#payload + this.#nameSize + this.#controlSize;
    this.size = Math.max(1, Math.min(this.#batch, Math.floor(arenaSize / this.#stride)));
    this.#arena = Buffer.from(new ArrayBuffer(this.size * this.#stride));
    this.#words = new Int32Array(this.#arena.buffer);
  }

  /**
   * @param mostBytes of a message; no more than was reserved
   * @returns how many messages there are, or -errno
   */
  receive(watcher: Watcher, mostBytes: number, keepFds: boolean): number {
    this.#name = null;
    this.#most = mostBytes;
    const { fd } = watcher;
    const result = binding().receiveMessages(fd, this.#arena, this.#table, this.#payload, mostBytes, keepFds);
    if (result !== EBUSY) return result;
    watcher.rest();
    return EAGAIN;
  }

  #at(i: number, field: number): number {
    return this.#table[i * this.#fields + field]!;
  }

  /** The length as it was sent, in bytes: longer than message() if that was truncated. */
  length(i: number): number {
    return this.#at(i, column.length);
  }

  message(i: number): Buffer {
    const length = Math.min(this.#at(i, column.length), this.#most);
    const start = i * this.#stride;
    const copy = Buffer.allocUnsafe(length);
    this.#arena.copy(copy, 0, start, start + length);
    return copy;
  }

  isTruncated(i: number): boolean {
    return (this.#at(i, column.flags) & flag.truncated) !== 0;
  }

  isControlTruncated(i: number): boolean {
    return (this.#at(i, column.flags) & flag.controlTruncated) !== 0;
  }

  /** Nothing came with the message but its bytes: no need to ask for each thing. */
  isPlain(i: number): boolean {
    const row = i * this.#fields;
    const bits = flag.controlTruncated | flag.credentials | flag.timestamp | flag.truncated;
    return (
      (this.#table[row + column.flags]! & bits) === 0 &&
      this.#table[row + column.fdCount] === 0 &&
      this.#table[row + column.labelLength] === 0
    );
  }

  /** The unix path of the sender, an abstract name with its NUL; null for one without. */
  path(i: number): string | null {
    if (this.#at(i, column.flags) & flag.sameName) return this.#name;
    const length = this.#at(i, column.nameLength) - 2;
    if (length <= 0) return (this.#name = null);
    const start = i * this.#stride + this.#payload + 2;
    let end = start + length;
    // unix(7): a path ends at its NUL, an abstract name counts every byte.
    if (this.#arena[start] !== 0) {
      const nul = this.#arena.indexOf(0, start);
      if (nul >= 0 && nul < end) end = nul;
    }
    return (this.#name = this.#arena.toString('utf8', start, end));
  }

  /** The port id and the groups (a mask) of a netlink sender. */
  netlinkSender(i: number): { portId: number; groups: number } {
    const name = (i * this.#stride + this.#payload) / Int32Array.BYTES_PER_ELEMENT;
    return { portId: this.#words[name + 1]! >>> 0, groups: this.#words[name + 2]! >>> 0 };
  }

  /** The multicast group of a netlink message, a number and no mask; 0 for one to us alone; null if it is not told. */
  netlinkGroup(i: number): number | null {
    return this.#at(i, column.flags) & flag.group ? this.#at(i, column.group) : null;
  }

  hasCredentials(i: number): boolean {
    return (this.#at(i, column.flags) & flag.credentials) !== 0;
  }

  credentials(i: number): MessageCredentials {
    return { pid: this.#at(i, column.pid), uid: this.#at(i, column.uid) >>> 0, gid: this.#at(i, column.gid) >>> 0 };
  }

  /** Received descriptors; empty if they were not to be kept. */
  fds(i: number, kept: boolean): number[] {
    const count = kept ? this.#at(i, column.fdCount) : 0;
    const start = (i * this.#stride + this.#at(i, column.fdOffset)) / Int32Array.BYTES_PER_ELEMENT;
    return Array.from(this.#words.subarray(start, start + count));
  }

  label(i: number): string | null {
    const length = this.#at(i, column.labelLength);
    const start = i * this.#stride + this.#at(i, column.labelOffset);
    return length === 0 ? null : this.#arena.toString('utf8', start, start + length);
  }

  /** Milliseconds since 1970, with a fraction; null if the socket does not ask for them. */
  timestamp(i: number): number | null {
    if ((this.#at(i, column.flags) & flag.timestamp) === 0) return null;
    const seconds = this.#at(i, column.secondsHigh) * 2 ** 32 + (this.#at(i, column.secondsLow) >>> 0);
    return seconds * 1000 + this.#at(i, column.nanoseconds) / 1e6;
  }
}

let shared: Batch | undefined;

export function sharedBatch(): Batch {
  shared ??= new Batch();
  return shared;
}
