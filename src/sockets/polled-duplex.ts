// A stream over a descriptor that is waited for: reads no further than somebody takes, writes no faster than the kernel.
import type { Duplex as DuplexStream, DuplexOptions } from 'node:stream';
import { systemError } from '../system/addon.js';
import { EAGAIN, isShortage } from '../system/errnos.js';
import { Watcher, readable, writable } from '../system/watcher.js';

const { Duplex }: { Duplex: typeof DuplexStream } = process.getBuiltinModule('node:stream');

type Done = (error?: Error | null) => void;

/** There may be more now, or only later; the reader has enough; or the other side is done. */
export type ReadOutcome = 'more' | 'later' | 'full' | 'end';

/** Pause in a shortage of memory or descriptors, in ms. */
const shortagePause = 20;

export interface PolledOptions extends DuplexOptions {
  readonly fd: number;
  /** For messages of errors. */
  readonly subject: string;
}

export abstract class PolledDuplex extends Duplex {
  protected readonly watcher: Watcher;
  readonly #subject: string;
  #wantsRead = false;
  #writing: { readonly chunk: Uint8Array; readonly done: Done } | null = null;
  #retry: NodeJS.Timeout | null = null;
  #timeout: NodeJS.Timeout | null = null;
  #timeoutAfter = 0;

  constructor({ fd, subject, ...options }: PolledOptions) {
    super({ ...options, emitClose: true, autoDestroy: true });
    this.#subject = subject;
    this.watcher = new Watcher(fd, (events) => this.#ready(events));
  }

  /** Reads once and pushes. @returns the outcome, or -errno */
  protected abstract receive(): ReadOutcome | number;

  /** Writes once. @returns the bytes written, or -errno */
  protected abstract transmit(chunk: Uint8Array): number;

  /** Whether a chunk may be written in parts. */
  protected abstract readonly partial: boolean;

  /** Its number; -1 once it is closed. */
  get fd(): number {
    return this.watcher.open ? this.watcher.fd : -1; // the number belongs to something else by then
  }

  #want(): void {
    if (!this.watcher.open) return;
    const writing = this.#writing !== null && this.#retry === null;
    this.watcher.want((this.#wantsRead ? readable : 0) | (writing ? writable : 0));
  }

  #ready(events: number): void {
    if (events & writable) this.#write();
    if (events & readable && this.#wantsRead) this.#readSome();
    this.#want();
  }

  #readSome(): void {
    for (let round = 0; round < 4 && this.watcher.open; round++) {
      const outcome = this.receive();
      if (typeof outcome === 'number') {
        if (outcome !== EAGAIN && !isShortage(outcome)) this.destroy(systemError(outcome, 'read', this.#subject));
        return;
      }
      this.#timeout?.refresh();
      if (outcome === 'full' || outcome === 'end') this.#wantsRead = false;
      if (outcome === 'end') this.push(null);
      if (outcome !== 'more') return;
    }
  }

  /** @internal */
  override _read(): void {
    this.#wantsRead = true;
    this.#want();
  }

  /** @internal */
  override _write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
    if (!(bytes instanceof Uint8Array)) {
      done(new TypeError('A chunk must be a string or bytes'));
      return;
    }
    this.#writing = { chunk: bytes, done };
    this.#write();
    this.#want();
  }

  #write(): void {
    while (this.#writing && this.watcher.open) {
      const { chunk, done } = this.#writing;
      let result: number;
      try {
        result = this.transmit(chunk);
      } catch (error) {
        // Its memory went to another thread while it waited.
        this.#writing = null;
        done(error as Error);
        return;
      }
      if (result === EAGAIN) return;
      if (isShortage(result)) {
        this.#retry = setTimeout(() => {
          this.#retry = null;
          this.#write();
          this.#want();
        }, shortagePause);
        return;
      }
      this.#writing = null;
      if (result < 0) {
        done(systemError(result, 'write', this.#subject));
        return;
      }
      this.#timeout?.refresh();
      if (this.partial && result < chunk.length) this.#writing = { chunk: chunk.subarray(result), done };
      else done(); // may start the next write
    }
  }

  /** 'timeout' after so many milliseconds without activity, 0 for never; as net.Socket has it. */
  setTimeout(milliseconds: number, callback?: () => void): this {
    if (this.#timeout) clearTimeout(this.#timeout);
    this.#timeout = null;
    this.#timeoutAfter = milliseconds;
    if (milliseconds > 0) {
      this.#timeout = setTimeout(() => this.emit('timeout'), milliseconds);
      this.#timeout.unref();
      if (callback) this.once('timeout', callback);
    } else if (callback) this.off('timeout', callback);
    return this;
  }

  /** The last timeout given to setTimeout(), in milliseconds; 0 is never. */
  get timeout(): number {
    return this.#timeoutAfter;
  }

  /** Ends the writable half and destroys the stream when everything is written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Keeps the process alive while it is open; the default. */
  ref(): this {
    this.watcher.ref(true);
    return this;
  }

  /** Lets the process end although it is open. */
  unref(): this {
    this.watcher.ref(false);
    return this;
  }

  /** @internal */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#timeout) clearTimeout(this.#timeout);
    if (this.#retry) clearTimeout(this.#retry);
    this.#writing = null; // the stream itself fails all later writes
    this.watcher.close();
    done(error);
  }
}
