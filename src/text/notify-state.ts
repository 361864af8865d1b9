// What a service tells its manager, as the variables of sd_notify(3): a typed object in, the text of one message out. Pure.
import { ListenFdsError } from '../system/errors.js';

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
  /** WATCHDOG_USEC=: a new watchdog timeout, in ms; 0 turns the watchdog off. */
  watchdogTimeout?: number | undefined;
  /** EXTEND_TIMEOUT_USEC=: the start, stop or reload under way may take longer, if the next message comes within so many ms. */
  extendTimeout?: number | undefined;
  /** FDSTORE=1: keep `fds` for the next start. */
  fdStore?: boolean | undefined;
  /** FDSTOREREMOVE=1: give up what is stored under `fdName`. */
  fdStoreRemove?: boolean | undefined;
  /** FDNAME=: at most 255 printable ASCII characters without ':'. */
  fdName?: string | undefined;
  /** FDPOLL=0: keep stored descriptors even when they hang up. */
  fdPoll?: boolean | undefined;
  /** NOTIFYACCESS=: who may send messages from now on. */
  notifyAccess?: 'none' | 'main' | 'exec' | 'all' | undefined;
  /** RESTART_RESET=1: forget the restarts so far. */
  restartReset?: boolean | undefined;
  /** BARRIER=1: alone, with one descriptor. What you want is notifyBarrier(). */
  barrier?: boolean | undefined;
  /** Private variables; a manager ignores those it does not know. */
  [variable: `X_${string}`]: string | number | undefined;
}

/** NOTIFY_BUFFER_MAX of the manager, in bytes: it ignores whatever is longer without telling anyone. */
export const maxMessageBytes = 4096;

/** SCM_MAX_FD of the kernel. */
export const maxMessageFds = 253;

export function badOption(found: string): ListenFdsError {
  return new ListenFdsError('LISTENFDS_BAD_OPTION', found);
}

function show(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/** CLOCK_MONOTONIC in microseconds, as MONOTONIC_USEC= wants it. */
export function monotonicUsec(): bigint {
  return process.hrtime.bigint() / 1000n; // uv_hrtime() reads CLOCK_MONOTONIC on Linux
}

/** Turns a field's value into assignments; '' says nothing. */
type Encode = (value: unknown, field: string) => string;

// systemd splits a message at carriage returns too.
const separators = /[\n\r\0]/;

function oneLine(value: unknown, field: string): string {
  if (typeof value !== 'string') throw badOption(`${field} must be a string, not ${show(value)}`);
  if (separators.test(value)) throw badOption(`${field} contains a line break or a NUL: ${show(value)}`);
  return value;
}

const flag = (assignment: string, when = true): Encode => {
  return (value, field) => {
    if (typeof value !== 'boolean') throw badOption(`${field} must be true or false, not ${show(value)}`);
    return value === when ? assignment : '';
  };
};

const text = (variable: string, pattern?: RegExp, expected?: string): Encode => {
  return (value, field) => {
    const line = oneLine(value, field);
    if (pattern && !pattern.test(line)) throw badOption(`${field} must be ${expected}, not ${show(value)}`);
    return `${variable}=${line}`;
  };
};

const integer = (variable: string, least: number, most: number): Encode => {
  return (value, field) => {
    const whole = typeof value === 'bigint' || Number.isSafeInteger(value);
    if (!whole || (value as number) < least || (value as number) > most) {
      throw badOption(`${field} must be a whole number from ${least} to ${most}, not ${show(value)}`);
    }
    return `${variable}=${value as number}`;
  };
};

const milliseconds = (variable: string, least: number): Encode => {
  return (value, field) => {
    const usec = typeof value === 'number' ? Math.round(value * 1000) : Number.NaN;
    if (!Number.isSafeInteger(usec) || usec < least) {
      throw badOption(`${field} must be a number of milliseconds${least > 0 ? ' above 0' : ''}, not ${show(value)}`);
    }
    return `${variable}=${usec}`;
  };
};

const maxInt = 2 ** 31 - 1;

/** MAX_ERRNO of the kernel. */
const maxErrno = 4095;

const fields: { readonly [field in Exclude<keyof NotifyState, `X_${string}`>]-?: Encode } = {
  ready: flag('READY=1'),
  reloading: (value, field) => flag(`RELOADING=1\nMONOTONIC_USEC=${monotonicUsec()}`)(value, field),
  stopping: flag('STOPPING=1'),
  status: text('STATUS'),
  errno: integer('ERRNO', 1, maxErrno),
  busError: text('BUSERROR', /./, 'an error name'),
  varlinkError: text('VARLINKERROR', /./, 'an error name'),
  exitStatus: integer('EXIT_STATUS', 0, 255),
  mainPid: integer('MAINPID', 1, maxInt),
  mainPidfdId: integer('MAINPIDFDID', 1, 2 ** 64 - 1),
  mainPidfd: flag('MAINPIDFD=1'),
  watchdog: (value, field) => (value === 'trigger' ? 'WATCHDOG=trigger' : flag('WATCHDOG=1')(value, field)),
  watchdogTimeout: milliseconds('WATCHDOG_USEC', 0),
  extendTimeout: milliseconds('EXTEND_TIMEOUT_USEC', 1),
  fdStore: flag('FDSTORE=1'),
  fdStoreRemove: flag('FDSTOREREMOVE=1'),
  fdName: text('FDNAME', /^[ -9;-~]{1,255}$/, "1 to 255 printable ASCII characters without ':'"),
  fdPoll: flag('FDPOLL=0', false),
  notifyAccess: text('NOTIFYACCESS', /^(none|main|exec|all)$/, "'none', 'main', 'exec' or 'all'"),
  restartReset: flag('RESTART_RESET=1'),
  barrier: flag('BARRIER=1'),
};

/** What a status may take of a message, in bytes. */
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

function encodePrivate(field: string, value: unknown): string {
  if (!/^X_[A-Za-z0-9_]+$/.test(field)) throw badOption(`The state has a field ${show(field)}, which is none`);
  return `${field}=${oneLine(typeof value === 'number' ? String(value) : value, field)}`;
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
    if (typeof state !== 'object' || state === null) throw badOption(`The state must be an object or a string`);
    let assignments = 0;
    for (const [field, value] of Object.entries(state)) {
      if (value === undefined) continue;
      const encode = Object.hasOwn(fields, field) ? fields[field as keyof typeof fields] : null;
      const assignment = encode ? encode(value, field) : encodePrivate(field, value);
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
