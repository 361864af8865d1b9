// ListenSpecial=: a character device, or a file in /proc or /sys, as a stream.
import type { Duplex as DuplexStream, DuplexOptions } from 'node:stream';
import { onceGone, registerOwn } from '../open/own.js';
import type { Suitable } from '../receive/choose.js';
import { cancel, lend } from '../receive/lent.js';
import { fs } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { type SocketEndpoint, endpoint } from '../take/endpoint.js';
import { takeInherited } from '../take/take.js';
import { type CommonTarget, type Wanted, commonOptions, parseTarget, path } from '../take/target.js';
import { type TableOf, boolean } from '../text/options.js';
import { DescriptorStream } from './descriptor-stream.js';
import { type FileAddress, fileSpelling, noAddress } from './file-address.js';

const { Duplex }: { Duplex: typeof DuplexStream } = process.getBuiltinModule('node:stream');

/** Which file, and how it is opened. */
export interface SpecialTarget extends Omit<CommonTarget, 'mode' | 'user' | 'group' | 'removeOnStop'> {
  /** Instead of `address`. */
  path?: string;
  /**
   * Writable=: open it for writing as well. An inherited one that was not is refused with LISTENFDS_WRONG_KIND.
   * @default false
   */
  writable?: boolean;
}

type Done = (error?: Error | null) => void;

/** Regular files and devices such as /dev/null cannot be waited for: the thread pool reads and writes them. */
class FileStream extends Duplex {
  readonly fd: number;
  #busy = false;
  #closing: (() => void) | null = null;

  constructor(fd: number, options: DuplexOptions & { writable?: boolean }) {
    super({ ...options, allowHalfOpen: true });
    this.fd = fd;
  }

  override _read(size: number): void {
    const buffer = Buffer.allocUnsafe(size);
    this.#start((done) =>
      fs.read(this.fd, buffer, 0, size, null, (error, bytes) => {
        done();
        if (error) this.destroy(error);
        else this.push(bytes > 0 ? buffer.subarray(0, bytes) : null);
      }),
    );
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    fs.write(this.fd, chunk, 0, chunk.length, null, (error, written) => {
      if (error || written === chunk.length) done(error);
      else this._write(chunk.subarray(written), _encoding, done);
    });
  }

  /** The number must not be given to another file while a read is under way. */
  #start(work: (done: () => void) => void): void {
    this.#busy = true;
    work(() => {
      this.#busy = false;
      this.#closing?.();
    });
  }

  override _destroy(error: Error | null, done: Done): void {
    const close = (): void => fs.close(this.fd, (failed) => done(error ?? failed));
    if (this.#busy) this.#closing = close;
    else close();
  }
}

function stream(fd: number, writable: boolean): DuplexStream {
  const options = { writable };
  try {
    return new DescriptorStream({ fd, subject: `fd ${fd}`, ...options });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    return new FileStream(fd, options);
  }
}

function openSpecial(path: string, writable: boolean, wanted: Wanted<FileAddress>): DuplexStream {
  const { O_RDONLY, O_RDWR, O_NONBLOCK, O_NOCTTY } = fs.constants;
  const fd = fs.openSync(path, (writable ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY);
  try {
    const status = fs.fstatSync(fd);
    if (!status.isCharacterDevice() && !status.isFile()) {
      throw new ListenFdsError('LISTENFDS_WRONG_KIND', `${path} is neither a character device nor a file`);
    }
    return stream(fd, writable).once('close', registerOwn(fd, wanted, null));
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

const suitable: Suitable = { what: 'a character device or a file', is: ({ kind }) => kind === 'special' };

/** The options of listenSpecial(). */
export const specialOptions = {
  ...commonOptions,
  path,
  writable: { ...boolean, default: false },
} satisfies TableOf<SpecialTarget>;

const specialSpelling = { ...fileSpelling, options: specialOptions };

/**
 * ListenSpecial=: a stream of the inherited character device or file, or of the one at `target`; writable if Writable=
 * (`writable: true`) says so. Which one is taken is decided as in listen().
 *
 * @throws ListenFdsError LISTENFDS_WRONG_KIND if it is not a device or file, or cannot be written; docs/errors.md has the rest
 */
export async function listenSpecial(given: string | SpecialTarget): Promise<SocketEndpoint<DuplexStream>> {
  const wanted = parseTarget(given, undefined, specialSpelling);
  const { writable = false } = typeof given === 'object' ? given : {};
  const inherited = await takeInherited(wanted, suitable);
  if (!inherited) {
    const { path } = wanted.address ?? noAddress();
    return { socket: openSpecial(path, writable, wanted), ...endpoint(null, path) };
  }
  const loan = lend(inherited);
  try {
    const { fd, description } = inherited;
    if (writable && !description.writable) {
      throw new ListenFdsError('LISTENFDS_WRONG_KIND', `${inherited} is open for reading only (Writable=)`, { fd });
    }
    const socket = stream(loan.fd, description.writable).once(
      'close',
      onceGone(loan, wanted, () => null),
    );
    return { socket, ...endpoint(inherited, inherited.address) };
  } catch (error) {
    cancel(loan);
    throw error;
  }
}
