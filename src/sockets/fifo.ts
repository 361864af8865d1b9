// ListenFIFO=: a named pipe that never ends, however many writers come and go. fifo(7)
import type { Socket, SocketConstructorOpts } from 'node:net';
import { fileOf, onceGone, registerOwn } from '../open/own.js';
import { cancel, lend } from '../receive/lent.js';
import { binding, systemError } from '../system/addon.js';
import { fs, net } from '../system/builtins.js';
import { EEXIST } from '../system/errnos.js';
import { HeldFile } from '../system/files.js';
import { ownerOf } from '../system/users.js';
import { type SocketEndpoint, endpoint } from '../take/endpoint.js';
import { takeInherited } from '../take/take.js';
import { type CommonTarget, type Wanted, commonOptions, ownerOptions, parseTarget, path } from '../take/target.js';
import type { TableOf } from '../text/options.js';
import { type FileAddress, fileSpelling, noAddress } from './file-address.js';

/** Where a FIFO is, and how it is made. */
export interface FifoTarget extends CommonTarget {
  /** Instead of `address`. */
  path?: string;
}

/** The options of listenFifo(). */
export const fifoOptions = { ...commonOptions, ...ownerOptions, path } satisfies TableOf<FifoTarget>;

/** libuv reads it as any pipe: a Readable with ref() and unref(); destroy() closes it. */
function stream(fd: number): Socket {
  return new net.Socket({ fd, readable: true, writable: false } as SocketConstructorOpts);
}

/** Both ends open, non-blocking: as long as we are a writer ourselves there is no end, and nobody to wait for. */
function openFifo(path: string, wanted: Wanted<FileAddress>): Socket {
  const { O_RDWR, O_NONBLOCK, O_NOFOLLOW } = fs.constants;
  const owner = ownerOf(wanted);
  const made = binding().makeFifo(path, 0o600);
  if (made < 0 && made !== EEXIST) throw Object.assign(systemError(made, 'mkfifo', path), { path });
  const own = made === 0;
  // An existing FIFO keeps mode and owner, unless they are asked for.
  const mode = wanted.mode ?? (own ? 0o666 & ~process.umask() : null);
  let fd: number | undefined;
  try {
    fd = fs.openSync(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW);
    if (!fs.fstatSync(fd).isFIFO()) throw Object.assign(systemError(EEXIST, 'mkfifo', path), { path });
    if (owner.uid !== -1 || owner.gid !== -1) fs.fchownSync(fd, owner.uid, owner.gid);
    if (mode !== null) fs.fchmodSync(fd, mode);
    const file = HeldFile.of(fd);
    const fifo = stream(fd);
    const ended = (handedOver: boolean): void => {
      if (wanted.removeOnStop && !handedOver) file.removeAt(path);
      file.release();
    };
    fifo.once('close', registerOwn(fd, wanted, ended));
    return fifo;
  } catch (error) {
    if (fd !== undefined) fs.closeSync(fd);
    if (own) fs.unlinkSync(path);
    throw error;
  }
}

/**
 * ListenFIFO=: a readable stream of the inherited FIFO, or of the one at `target`, which is made if there is none. It
 * does not end between writers; `destroy()` closes it. Which one is taken is decided as in listen().
 *
 * @example
 * const { socket } = await listenFifo('/run/app/commands');
 * for await (const chunk of socket) run(String(chunk));
 *
 * @throws ListenFdsError; docs/errors.md has every code
 * @throws an Error with code EEXIST if something else than a FIFO is there
 */
export async function listenFifo(given: string | FifoTarget): Promise<SocketEndpoint<Socket>> {
  const wanted = parseTarget(given, undefined, { ...fileSpelling, options: fifoOptions });
  const inherited = await takeInherited(wanted, { what: 'a FIFO', is: ({ kind }) => kind === 'fifo' });
  if (!inherited) {
    const { path } = wanted.address ?? noAddress();
    return { socket: openFifo(path, wanted), ...endpoint(null, path) };
  }
  const loan = lend(inherited);
  try {
    const socket = stream(loan.fd);
    const { path } = inherited.address === null ? noAddress() : { path: inherited.address as string };
    socket.once(
      'close',
      onceGone(loan, wanted, () => fileOf(path, wanted.removeOnStop === true)),
    );
    return { socket, ...endpoint(inherited, path) };
  } catch (error) {
    cancel(loan);
    throw error;
  }
}
