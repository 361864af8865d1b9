// The way to the service manager: sd_notify(3) without libsystemd.
import { binding, systemError } from '../system/addon.js';
import { fs } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { maxPathBytes } from '../text/address.js';
import { type NotifyState, encodeState, maxMessageFds } from '../text/notify-state.js';
import { noteSpoken } from './spoken.js';
import { type TableOf, type Values, environment, given, readOptions, whole } from '../text/options.js';

/** Options of {@link notify}. */
export interface NotifyOptions {
  /** Descriptors that go with the message (SCM_RIGHTS), at most 253. They stay open here. */
  fds?: readonly number[] | undefined;
  /**
   * The process the message is to come from (SCM_CREDENTIALS). That takes privileges; without them the message comes
   * from this process, as with sd_pid_notify(3).
   * @default 0, this process
   */
  pid?: number | undefined;
  /**
   * Where NOTIFY_SOCKET is read.
   * @default process.env
   */
  env?: NodeJS.ProcessEnv | undefined;
}

/** A NOTIFY_SOCKET address. */
export type NotifyAddress =
  /** An abstract name starts with NUL. */
  | { readonly kind: 'unix'; readonly path: string }
  /** `type` is a SOCK_* constant, 0 if the address leaves it open. */
  | { readonly kind: 'vsock'; readonly cid: number; readonly port: number; readonly type: number };

const vsockTypes: Readonly<Record<string, number>> = { '': 0, '-stream': 1, '-dgram': 2, '-seqpacket': 5 };
const anyCid = 0xffffffff;

function badAddress(value: string, why: string): ListenFdsError {
  return new ListenFdsError('LISTENFDS_BAD_ENVIRONMENT', `NOTIFY_SOCKET=${JSON.stringify(value)} ${why}`, {
    variable: 'NOTIFY_SOCKET',
  });
}

/** Reads `/path`, `@abstract`, `vsock:CID:PORT`, `vsock-stream:…`, `vsock-dgram:…` and `vsock-seqpacket:…`. */
export function parseNotifyAddress(value: string): NotifyAddress {
  if (value[0] === '/' || (value[0] === '@' && value.length > 1)) {
    const bytes = Buffer.byteLength(value);
    if (bytes > maxPathBytes + (value[0] === '@' ? 1 : 0)) {
      throw badAddress(value, `has ${bytes} bytes; a unix socket path has at most ${maxPathBytes}`);
    }
    return { kind: 'unix', path: value[0] === '@' ? `\0${value.slice(1)}` : value };
  }
  const match = /^vsock(|-stream|-dgram|-seqpacket):([0-9]{1,10}):([0-9]{1,10})$/.exec(value);
  if (!match) throw badAddress(value, 'is neither an absolute path, nor @name, nor vsock:CID:PORT');
  const cid = Number(match[2]);
  const port = Number(match[3]);
  if (cid >= anyCid || port >= anyCid) throw badAddress(value, 'does not name one vsock address');
  return { kind: 'vsock', cid, port, type: vsockTypes[match[1]!]! };
}

// The variable hardly ever changes; reading it anew is what costs.
let last: { readonly value: string; readonly address: NotifyAddress } | undefined;

function notifyAddress(value: string): NotifyAddress {
  if (last?.value !== value) last = { value, address: parseNotifyAddress(value) };
  return last.address;
}

const isFd = (fd: unknown): boolean => Number.isInteger(fd) && (fd as number) >= 0 && (fd as number) < 2 ** 31;

/** The options of notify(). */
export const notifyOptions = {
  fds: given<readonly number[]>(
    `an array of at most ${maxMessageFds} descriptors`,
    (fds) => Array.isArray(fds) && fds.length <= maxMessageFds && fds.every(isFd),
  ),
  // 0, as in C: this process.
  pid: { ...whole(0, 2 ** 31 - 1), default: 0 },
  env: environment,
} satisfies TableOf<NotifyOptions>;

function send(text: string, value: string, fds: readonly number[], pid: number): void {
  const address = notifyAddress(value);
  let result: number;
  if (address.kind === 'unix') {
    const passed = fds.length > 0 ? Int32Array.from(fds) : null;
    result = binding().notifyUnix(address.path, text, passed, pid === process.pid ? 0 : pid);
  } else {
    if (fds.length > 0) {
      throw new ListenFdsError('LISTENFDS_UNSUPPORTED', `No descriptor can be passed over NOTIFY_SOCKET=${value}`);
    }
    result = binding().notifyVsock(address.cid, address.port, address.type, text);
  }
  if (result < 0) {
    const what = fds.length > 0 ? ` with fds ${fds.join(', ')}` : '';
    throw systemError(result, 'sendmsg', `NOTIFY_SOCKET=${value}${what}`);
  }
}

const none: readonly number[] = [];
// The result of reading no options, which would be work at every start.
const unsaid: Values<typeof notifyOptions> = { pid: notifyOptions.pid.default };

/**
 * Tells the service manager something, as sd_pid_notify_with_fds(3). Returns true when the message was sent, which says
 * nothing about whether the manager has read it (see notifyBarrier()), and false if nobody listens: NOTIFY_SOCKET is
 * absent or empty. The variable stays, so that children may notify if NotifyAccess= lets them.
 *
 * It never waits for the manager. If its queue is full, some attempts are made for 4 ms at most (a vsock connection
 * gets 50 ms); then the call fails with EAGAIN.
 *
 * @example
 * notify({ ready: true, status: 'Serving' });
 * notify({ fdStore: true, fdName: 'db' }, { fds: [fd] });
 * notify('READY=1\nX_COLOUR=blue');
 *
 * @throws ListenFdsError LISTENFDS_BAD_OPTION naming the field: a line break or NUL in a value, an unknown field, more
 * than 253 descriptors or 4096 bytes, of which a manager takes no notice
 * @throws ListenFdsError LISTENFDS_BAD_ENVIRONMENT, LISTENFDS_NO_ADDON, LISTENFDS_UNSUPPORTED
 * @throws Error with `code`, `errno` and `syscall` when it cannot be sent: ENOENT or ECONNREFUSED if the manager's
 * socket is gone, EAGAIN if it is full, EBADF for a closed descriptor
 */
export function notify(state: NotifyState | string, options?: NotifyOptions): boolean {
  const { fds = none, pid, env } = options === undefined ? unsaid : readOptions(notifyOptions, options);
  const text = encodeState(state, fds.length);
  const value = (env ?? process.env)['NOTIFY_SOCKET'];
  if (!value) return false;
  send(text, value, fds, pid);
  noteSpoken(text);
  return true;
}

/** Whether systemd is this machine's init, as sd_booted(3). Says nothing about who started this process. */
export function booted(): boolean {
  return fs.lstatSync('/run/systemd/system', { throwIfNoEntry: false })?.isDirectory() ?? false;
}
