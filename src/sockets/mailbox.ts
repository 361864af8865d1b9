// Sends and receives whole messages: unix datagrams, netlink, message queues. Nothing is read while nobody listens
// for 'message': the kernel's queue keeps it, and messages that were read already are delivered before anything newer.
import type { EventEmitter as Emitter } from 'node:events';
import { systemError } from '../system/addon.js';
import { EAGAIN, ENOMEM, isShortage } from '../system/errnos.js';
import { ListenFdsError } from '../system/errors.js';
import { Watcher, idle, readable, writable } from '../system/watcher.js';
import { badValue } from '../text/options.js';

const { EventEmitter } = process.getBuiltinModule('node:events');

/** How often one turn of the event loop goes back for more, before others get theirs. */
const mostRounds = 8;

/** Pause before a send is tried again if the kernel cannot tell when there will be room, in ms: it doubles. */
const shortestPause = 1;
const longestPause = 64;

/** Told when a message is with the kernel; the bytes sent. */
export type SendCallback = (error: Error | null, bytes: number) => void;

interface Waiting {
  /** @returns how many bytes went, or -errno */
  readonly send: () => number;
  readonly bytes: number;
  readonly done: SendCallback;
}

/** Messages to one destination, in their order. */
interface Lane {
  readonly waiting: Waiting[];
  /** Whether epoll tells when there is room; else a timer tries. */
  readonly polled: boolean;
  pause: number;
  timer: NodeJS.Timeout | null;
}

/** While a message waits, its memory may go to another thread: then there is nothing to send any more. */
function attempt(send: () => number): number | Error {
  try {
    return send();
  } catch (error) {
    return new ListenFdsError('LISTENFDS_BAD_OPTION', 'The bytes of the message were detached before it was sent', {
      cause: error,
    });
  }
}

const mustWait = (result: number | Error): boolean =>
  typeof result === 'number' && (result === EAGAIN || isShortage(result));

type Delivery = readonly [message: Buffer, about: unknown];

// The class as a value is taken from the module above; as a type it is Node's own.
const Base: typeof Emitter = EventEmitter;

export abstract class Mailbox<Events extends Record<keyof Events, unknown[]>> extends Base<Events> {
  protected readonly watcher: Watcher;
  /** The same object without the types of its events. */
  readonly #emitter = this as unknown as Emitter;
  readonly #subject: string;
  #onClose: (() => void)[] = [];
  readonly #arrived: Delivery[] = [];
  #delivering = false;
  readonly #lanes = new Map<string, Lane>();
  #polledLanes = 0;
  #referenced = true;

  /** @param subject for the messages of errors */
  constructor(fd: number, subject: string) {
    super();
    this.#subject = subject;
    this.watcher = new Watcher(fd, (events) => this.#ready(events));
    this.watcher.want(idle);
    const follow = (event: string | symbol): void => {
      if (event === 'message') this.#want(this.#emitter.listenerCount('message') > 0);
    };
    this.#emitter.on('newListener', (event) => {
      if (event !== 'message') return;
      this.#want(true);
      if (this.#arrived.length > 0) process.nextTick(() => this.#deliver());
    });
    this.#emitter.on('removeListener', follow);
  }

  /** Reads what is there. @returns how many messages, or -errno */
  protected abstract receive(deliver: (message: Buffer, about: unknown) => void): number;

  /** Whether a full batch was read, so that there may be more. */
  protected abstract isFull(count: number): boolean;

  /** A message that nobody will get. */
  protected discard(_about: unknown): void {}

  /** An error on the descriptor that does not end it. @returns whether it was dealt with */
  protected recovers(_errno: number): boolean {
    return false;
  }

  /** @internal Has something done as soon as the descriptor is closed, before 'close'. */
  onceClosed(done: () => void): void {
    this.#onClose.push(done);
  }

  /** Whether it has been closed. */
  get closed(): boolean {
    return !this.watcher.open;
  }

  protected get fd(): number {
    if (this.closed) throw new ListenFdsError('LISTENFDS_CLOSED', `${this.#subject} is closed`);
    return this.watcher.fd;
  }

  #want(reading: boolean): void {
    this.watcher.want((reading ? readable : idle) | (this.#polledLanes > 0 ? writable : 0));
  }

  #ready(events: number): void {
    if (events & writable) this.#flushPolled();
    if (events & readable) this.#read();
  }

  #read(): void {
    const collect = (message: Buffer, about: unknown): void => void this.#arrived.push([message, about]);
    for (let round = 0; round < mostRounds; round++) {
      if (this.closed || this.#emitter.listenerCount('message') === 0) return;
      const result = this.receive(collect);
      if (result < 0) {
        this.#failed(result);
        return;
      }
      this.#deliver();
      if (!this.isFull(result)) return;
    }
  }

  #failed(errno: number): void {
    if (errno === EAGAIN || errno === ENOMEM || this.recovers(errno)) return;
    const error = systemError(errno, 'recvmsg', this.#subject);
    this.close();
    this.#emitter.emit('error', error);
  }

  /** A listener that throws must not cost the messages behind its own. */
  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    const arrived = this.#arrived;
    let next = 0;
    try {
      while (next < arrived.length && !this.closed && this.#emitter.listenerCount('message') > 0) {
        const [message, about] = arrived[next]!;
        next += 1;
        this.#emitter.emit('message', message, about);
      }
    } finally {
      this.#delivering = false;
      if (next === arrived.length) arrived.length = 0;
      else arrived.splice(0, next);
      if (arrived.length > 0) {
        if (this.closed) this.#discardArrived();
        else if (this.#emitter.listenerCount('message') > 0) process.nextTick(() => this.#deliver());
      }
    }
  }

  #discardArrived(): void {
    for (const [, about] of this.#arrived.splice(0)) this.discard(about);
  }

  /**
   * Sends now, or as soon as there is room: in order for each destination, and none waits for another's.
   *
   * @param polled whether epoll tells when there is room for that destination
   * @param send returns the bytes sent, or -errno
   */
  protected post(lane: string, polled: boolean, send: () => number, bytes: number, done: SendCallback): void {
    const before = this.#lanes.get(lane);
    if (before) {
      before.waiting.push({ send, bytes, done });
      return;
    }
    const result = attempt(send);
    if (!mustWait(result)) {
      this.#settle(result, done);
      return;
    }
    // In a shortage there is room for epoll all the time: only patience helps.
    const created: Lane = {
      waiting: [{ send, bytes, done }],
      polled: polled && result === EAGAIN,
      pause: shortestPause,
      timer: null,
    };
    this.#lanes.set(lane, created);
    this.#wait(lane, created);
  }

  #settle(result: number | Error, done: SendCallback): void {
    if (typeof result !== 'number') done(result, 0);
    else if (result >= 0) done(null, result);
    else done(systemError(result, 'sendmsg', this.#subject), 0);
  }

  #wait(name: string, lane: Lane): void {
    if (lane.polled) {
      this.#polledLanes += 1;
      this.#want(this.#emitter.listenerCount('message') > 0);
      return;
    }
    lane.timer = setTimeout(() => this.#flush(name, lane), lane.pause);
    if (!this.#referenced) lane.timer.unref();
    lane.pause = Math.min(lane.pause * 2, longestPause);
  }

  #flushPolled(): void {
    const polled = [...this.#lanes].filter(([, lane]) => lane.polled);
    this.#polledLanes = 0;
    for (const [name, lane] of polled) this.#flush(name, lane);
    if (!this.closed) this.#want(this.#emitter.listenerCount('message') > 0);
  }

  #flush(name: string, lane: Lane): void {
    lane.timer = null;
    while (!this.closed) {
      const [first] = lane.waiting;
      if (!first) {
        this.#lanes.delete(name);
        return;
      }
      const result = attempt(first.send);
      if (mustWait(result)) {
        this.#wait(name, lane);
        return;
      }
      lane.pause = shortestPause;
      lane.waiting.shift();
      this.#settle(result, first.done);
    }
  }

  /** Messages that wait for room. */
  getSendQueueCount(): number {
    let count = 0;
    for (const lane of this.#lanes.values()) count += lane.waiting.length;
    return count;
  }

  /** Bytes that wait for room. */
  getSendQueueSize(): number {
    let bytes = 0;
    for (const lane of this.#lanes.values()) for (const one of lane.waiting) bytes += one.bytes;
    return bytes;
  }

  /** Keeps the process alive while it is open; the default. */
  ref(): this {
    return this.#reference(true);
  }

  /** Lets the process end although it is open. */
  unref(): this {
    return this.#reference(false);
  }

  #reference(on: boolean): this {
    this.#referenced = on;
    if (!this.closed) this.watcher.ref(on);
    for (const { timer } of this.#lanes.values()) {
      if (on) timer?.ref();
      else timer?.unref();
    }
    return this;
  }

  /** Closes the descriptor; sends that still wait fail with LISTENFDS_CLOSED. 'close' follows. A second call does nothing. */
  close(callback?: () => void): this {
    if (this.closed) {
      if (callback) process.nextTick(callback);
      return this;
    }
    if (callback) this.#emitter.once('close', callback);
    this.watcher.close();
    for (const done of this.#onClose) done();
    if (!this.#delivering) this.#discardArrived();
    const lanes = [...this.#lanes.values()];
    this.#lanes.clear();
    for (const { timer, waiting } of lanes) {
      if (timer) clearTimeout(timer);
      const error = new ListenFdsError('LISTENFDS_CLOSED', `${this.#subject} was closed before the message was sent`);
      for (const { done } of waiting) process.nextTick(done, error, 0);
    }
    process.nextTick(() => this.#emitter.emit('close'));
    return this;
  }

  [Symbol.for('nodejs.asyncDispose')](): Promise<void> {
    return new Promise((resolve) => void this.close(resolve));
  }
}

/** A callback if one was given, else a promise of the bytes sent. */
export function promised(
  callback: SendCallback | undefined,
  start: (done: SendCallback) => void,
): Promise<number> | undefined {
  if (callback) {
    start((error, bytes) => process.nextTick(callback, error, bytes));
    return undefined;
  }
  return new Promise((resolve, reject) => start((error, bytes) => (error ? reject(error) : resolve(bytes))));
}

/** A message as bytes. */
export function bytesOf(message: string | Uint8Array | DataView): Uint8Array {
  if (typeof message === 'string') return Buffer.from(message);
  if (message instanceof Uint8Array) return message;
  if (ArrayBuffer.isView(message)) return new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
  throw badValue('The message', message, 'a string, a Buffer, a Uint8Array or a DataView');
}
