// Messages of a service to its manager, as the variables of sd_notify(3): a typed object in, the text of one message out. Pure.
import { type Option, badOption, badValue, boolean, given, nearest, oneOf, readOption, span, text } from './options.js';

/**
 * What to tell the manager. A field that is absent, undefined or false says nothing. Times are milliseconds here and
 * microseconds on the wire.
 */
export interface NotifyState {
  /** READY=1: start-up, or a reload, is complete. */
  ready?: boolean | undefined;
  /** RELOADING=1, together with the MONOTONIC_USEC= that Type=notify-reload insists on. End it with `ready`. */
  reloading?: boolean | undefined;
  /** STOPPING=1: the service is shutting down. */
  stopping?: boolean | undefined;
  /** STATUS=: one line for `systemctl status`. */
  status?: string | undefined;
  /** ERRNO=: why the service failed, as a positive errno. */
  errno?: number | undefined;
  /** BUSERROR=: the same as a D-Bus error name. */
  busError?: string | undefined;
  /** VARLINKERROR=: the same as a Varlink error name. */
  varlinkError?: string | undefined;
  /** EXIT_STATUS=: 0 to 255. */
  exitStatus?: number | undefined;
  /** MAINPID=: the process that is the service from now on. */
  mainPid?: number | undefined;
  /** MAINPIDFDID=: the inode number of a pidfd of `mainPid`, which no other process ever has. */
  mainPidfdId?: number | bigint | undefined;
  /** MAINPIDFD=1: the one descriptor in `fds` is a pidfd of the main process. */
  mainPidfd?: boolean | undefined;
  /** WATCHDOG=1, the sign of life, or WATCHDOG=trigger, which has the manager act as if there had been none. */
  watchdog?: boolean | 'trigger' | undefined;
  /** WATCHDOG_USEC=: a new watchdog timeout, in ms or as a time span such as '30s'; 0 turns the watchdog off. */
  watchdogTimeout?: number | string | undefined;
  /**
   * EXTEND_TIMEOUT_USEC=: the start, stop or reload under way may take longer, if the next message comes within
   * so many ms, or a time span such as '15s'.
   */
  extendTimeout?: number | string | undefined;
  /** FDSTORE=1: keep `fds` for the next start. */
  fdStore?: boolean | undefined;
  /** FDSTOREREMOVE=1: give up the descriptors stored under `fdName`. */
  fdStoreRemove?: boolean | undefined;
  /** FDNAME=: at most 255 printable ASCII characters without ':'. */
  fdName?: string | undefined;
  /** FDPOLL=0: keep stored descriptors even when they hang up. */
  fdPoll?: boolean | undefined;
  /** NOTIFYACCESS=: who may send messages from now on. */
  notifyAccess?: 'none' | 'main' | 'exec' | 'all' | undefined;
  /** RESTART_RESET=1: forget the restarts so far. */
  restartReset?: boolean | undefined;
  /** BARRIER=1: alone, with one descriptor. You want notifyBarrier(). */
  barrier?: boolean | undefined;
  /** Private variables; a manager ignores those it does not know. */
  [variable: `X_${string}`]: string | number | undefined;
}

/** NOTIFY_BUFFER_MAX of the manager, in bytes: it ignores whatever is longer without telling anyone. */
export const maxMessageBytes = 4096;

/** SCM_MAX_FD of the kernel. */
export const maxMessageFds = 253;

/** CLOCK_MONOTONIC in microseconds, as MONOTONIC_USEC= wants it. */
export function monotonicUsec(): bigint {
  return process.hrtime.bigint() / 1000n; // uv_hrtime() reads CLOCK_MONOTONIC on Linux
}

/** The values of a field, and the assignments they become; '' says nothing. */
interface Field extends Option {
  encode(value: never): string;
}

const flag = (assignment: string | (() => string), when = true): Field => ({
  ...boolean,
  encode: (value: boolean) => (value === when ? (typeof assignment === 'string' ? assignment : assignment()) : ''),
});

const assigned = (variable: string, option: Option): Field => ({
  ...option,
  encode: (value: unknown) => `${variable}=${value as string}`,
});

const integer = (variable: string, least: number, most: number): Field =>
  assigned(
    variable,
    given(`a whole number from ${least} to ${most}`, (value) => {
      const isWhole = typeof value === 'bigint' || Number.isSafeInteger(value);
      return isWhole && (value as number) >= least && (value as number) <= most;
    }),
  );

const time = (variable: string, option: Option<number>): Field => ({
  ...option,
  encode: (milliseconds: number) => `${variable}=${Math.ceil(milliseconds * 1000)}`,
});

// systemd splits a message at carriage returns too.
const line = text('a line of text, without line break or NUL', /^[^\n\r\0]*$/);
const errorName = text('an error name, without line break or NUL', /^[^\n\r\0]+$/);

/** FDNAME=, FileDescriptorName=. */
export const fdName = text("1 to 255 printable ASCII characters without ':'", /^[ -9;-~]{1,255}$/);

const maxInt = 2 ** 31 - 1;
const alive = given<boolean | 'trigger'>(
  "true, false or 'trigger'",
  (value) => typeof value === 'boolean' || value === 'trigger',
);

/** MAX_ERRNO of the kernel. */
const maxErrno = 4095;

/** Every field of {@link NotifyState}. Made when a state is first read: most of it is work that no start should wait for. */
const makeFields = () =>
  ({
    ready: flag('READY=1'),
    reloading: flag(() => `RELOADING=1\nMONOTONIC_USEC=${monotonicUsec()}`),
    stopping: flag('STOPPING=1'),
    status: assigned('STATUS', line),
    errno: integer('ERRNO', 1, maxErrno),
    busError: assigned('BUSERROR', errorName),
    varlinkError: assigned('VARLINKERROR', errorName),
    exitStatus: integer('EXIT_STATUS', 0, 255),
    mainPid: integer('MAINPID', 1, maxInt),
    mainPidfdId: integer('MAINPIDFDID', 1, 2 ** 64 - 1),
    mainPidfd: flag('MAINPIDFD=1'),
    watchdog: {
      ...alive,
      encode: (value: boolean | 'trigger') => (value === false ? '' : `WATCHDOG=${value === true ? 1 : value}`),
    },
    watchdogTimeout: time('WATCHDOG_USEC', span({ zero: true })),
    extendTimeout: time('EXTEND_TIMEOUT_USEC', span()),
    fdStore: flag('FDSTORE=1'),
    fdStoreRemove: flag('FDSTOREREMOVE=1'),
    fdName: assigned('FDNAME', fdName),
    fdPoll: flag('FDPOLL=0', false),
    notifyAccess: assigned('NOTIFYACCESS', oneOf('none', 'main', 'exec', 'all')),
    restartReset: flag('RESTART_RESET=1'),
    barrier: flag('BARRIER=1'),
  }) satisfies { readonly [field in Exclude<keyof NotifyState, `X_${string}`>]-?: Field };

let fields: ReturnType<typeof makeFields> | undefined;

export const stateFields = (): ReturnType<typeof makeFields> => (fields ??= makeFields());

/** The most bytes that a status takes of a message. */
const maxStatusBytes = 1024;

/** Whole characters only. */
function cut(text: string, most: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= most) return text;
  let end = most - Buffer.byteLength('…');
  while ((bytes[end]! & 0xc0) === 0x80) end -= 1;
  return `${bytes.toString('utf8', 0, end)}…`;
}

/**
 * The same state with decoration that cannot fail: the messages and numbers of other people's errors must not lose the
 * READY=1 that they go with. A status is cut and made one line, an errno that is none (a database's own) left out.
 */
export function decorate(state: NotifyState): NotifyState {
  const { status, errno } = state;
  return {
    ...state,
    ...(status === undefined ? {} : { status: cut(status.replaceAll(/\p{Cc}+/gu, ' '), maxStatusBytes) }),
    ...(errno === undefined || (errno >= 1 && errno <= maxErrno && Number.isInteger(errno))
      ? {}
      : { errno: undefined }),
  };
}

function encodeField(name: string, value: unknown): string {
  const known: Readonly<Record<string, Field>> = stateFields();
  if (Object.hasOwn(known, name)) {
    const field = known[name]!;
    return field.encode(readOption(field, value, name) as never);
  }
  if (!/^X_[A-Za-z0-9_]+$/.test(name)) {
    const meant = nearest(name, Object.keys(known));
    const help = meant === null ? 'variables of your own begin with X_' : `did you mean ${meant}?`;
    throw badOption(`The state has no field ${JSON.stringify(name)}: ${help}`);
  }
  return `${name}=${readOption(line, typeof value === 'number' ? String(value) : value, name)}`;
}

function checkDescriptors(state: NotifyState, assignments: number, fds: number): void {
  if (state.barrier && (assignments !== 1 || fds !== 1)) {
    throw badOption('barrier must be the only field and go with exactly one descriptor in fds');
  }
  if (state.mainPidfd && fds !== 1) throw badOption('mainPidfd needs exactly one descriptor in fds');
  if (state.fdStore && fds === 0) throw badOption('fdStore needs descriptors in fds');
  if (state.fdStoreRemove && state.fdName === undefined) throw badOption('fdStoreRemove needs fdName');
}

/**
 * The text of one message, in the order of the object's fields.
 *
 * @throws ListenFdsError LISTENFDS_BAD_OPTION, naming the field
 */
export function encodeState(state: NotifyState | string, fds: number): string {
  let message = '';
  if (typeof state === 'string') {
    if (state.includes('\0')) throw badOption('The state contains a NUL');
    message = state;
  } else {
    if (typeof state !== 'object' || state === null) throw badValue('The state', state, 'an object or a string');
    let assignments = 0;
    for (const [field, value] of Object.entries(state)) {
      if (value === undefined) continue;
      const assignment = encodeField(field, value);
      if (assignment === '') continue;
      assignments += 1;
      message = message === '' ? assignment : `${message}\n${assignment}`;
    }
    checkDescriptors(state, assignments, fds);
  }
  if (message === '') throw badOption('The state says nothing');
  // No character takes more than three bytes per unit of its UTF-16.
  if (message.length > maxMessageBytes / 3 && Buffer.byteLength(message) > maxMessageBytes) {
    throw badOption(
      `The state has ${Buffer.byteLength(message)} bytes; the manager ignores more than ${maxMessageBytes}`,
    );
  }
  return message;
}
