// A byte stream over any descriptor that can be waited for: terminals and other devices, vsock connections.
import { binding, systemError } from '../system/addon.js';
import { ENOTCONN, EPIPE } from '../system/errnos.js';
import { PolledDuplex, type PolledOptions, type ReadOutcome } from './polled-duplex.js';

/** Read at a time; devices such as /dev/kmsg want room for a whole record. */
const chunkSize = 64 * 1024;

// One for all: nothing waits between reading a chunk and copying it out.
let chunk: Buffer | undefined;

export interface DescriptorOptions extends PolledOptions {
  /** Ends with shutdown(2). */
  readonly socket?: boolean;
  readonly remoteAddress?: string | null;
}

export class DescriptorStream extends PolledDuplex {
  readonly #socket: boolean;
  readonly remoteAddress: string | undefined;
  protected override readonly partial = true;

  constructor({ socket = false, remoteAddress = null, ...options }: DescriptorOptions) {
    super(options);
    this.#socket = socket;
    this.remoteAddress = remoteAddress ?? undefined;
  }

  protected override receive(): ReadOutcome | number {
    chunk ??= Buffer.allocUnsafeSlow(chunkSize);
    let size = binding().readBytes(this.fd, chunk);
    // /dev/kmsg: records were overwritten before they were read; the next ones are whole again.
    if (size === EPIPE && !this.#socket) size = binding().readBytes(this.fd, chunk);
    if (size < 0) return size;
    if (size === 0) return 'end';
    return this.push(Buffer.from(chunk.subarray(0, size))) ? (size === chunkSize ? 'more' : 'later') : 'full';
  }

  protected override transmit(bytes: Uint8Array): number {
    return binding().writeBytes(this.fd, bytes);
  }

  override _final(done: (error?: Error | null) => void): void {
    const result = this.#socket ? binding().shutdownSocket(this.fd) : 0;
    done(result === 0 || result === ENOTCONN ? null : systemError(result, 'shutdown', `fd ${this.fd}`));
  }
}
