// The barrier behind all messages to the manager: sd_notify_barrier(3).
import { binding, systemError } from '../system/addon.js';
import { fs, net } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { type TableOf, environment, readOptions, span } from '../text/options.js';
import { announce } from './announce.js';

/** Options of {@link notifyBarrier}. */
export interface NotifyBarrierOptions {
  /**
   * How long to wait: milliseconds, or a time span such as '5s'. Infinity waits for as long as it takes.
   * @default 5000
   */
  timeout?: number | string | undefined;
  /**
   * Where NOTIFY_SOCKET is read.
   * @default process.env
   */
  env?: NodeJS.ProcessEnv | undefined;
}

/** The options of notifyBarrier(). */
export const notifyBarrierOptions = {
  timeout: { ...span({ endless: true }), default: 5000 },
  env: environment,
} satisfies TableOf<NotifyBarrierOptions>;

/** Resolves when every copy of a pipe's write end is closed. Owns the read end. @param left milliseconds of `timeout` */
function untilClosed(fd: number, left: number, timeout: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const pipe = new net.Socket({ fd, readable: true, writable: false });
    const timer =
      left === Infinity
        ? undefined
        : setTimeout(() => {
            const found = `The service manager did not work through its messages within ${timeout} ms`;
            pipe.destroy(new ListenFdsError('LISTENFDS_TIMEOUT', found));
          }, left);
    pipe.once('error', reject);
    pipe.once('close', () => {
      clearTimeout(timer);
      resolve(); // nothing happens if an error came first
    });
    pipe.resume();
  });
}

/**
 * Waits until the manager has worked through everything sent before, as sd_notify_barrier(3): before a process exits
 * whose messages would otherwise have no sender, or before a descriptor that was stored is closed. A manager whose queue is
 * full is waited for as well, and the event loop turns meanwhile. False if nobody listens.
 *
 * @throws ListenFdsError LISTENFDS_TIMEOUT, LISTENFDS_BAD_OPTION, and what notify() throws except EAGAIN
 */
export async function notifyBarrier(options: NotifyBarrierOptions = {}): Promise<boolean> {
  const { timeout, env = process.env } = readOptions(notifyBarrierOptions, options);
  if (!env['NOTIFY_SOCKET']) return false;
  const ends = binding().pipe();
  if (typeof ends === 'number') throw systemError(ends, 'pipe2', 'for the barrier');
  const [readEnd, writeEnd] = ends;
  const started = performance.now();
  try {
    await announce({ barrier: true }, { fds: [writeEnd], env }, timeout);
  } catch (error) {
    fs.closeSync(readEnd);
    throw error;
  } finally {
    fs.closeSync(writeEnd);
  }
  await untilClosed(readEnd, Math.max(1, timeout - (performance.now() - started)), timeout);
  return true;
}
