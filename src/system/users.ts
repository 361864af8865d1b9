// User and group names as ids, through nss.

import { binding, systemError } from './addon.js';
import { fs } from './builtins.js';
import { ListenFdsError } from './errors.js';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * A user or group name as its number, through nss.
 *
 * @throws ListenFdsError LISTENFDS_UNKNOWN_USER
 */
export function resolveName(option: 'user' | 'group', value: number | string | null): number {
  if (value === null) return -1; // chown(2): leave it as it is
  if (typeof value === 'number') return value;
  // C would look for the name up to the NUL.
  const lookUp = option === 'user' ? binding().userId : binding().groupId;
  const id = value.includes('\0') ? null : lookUp(value);
  if (id === null) throw new ListenFdsError('LISTENFDS_UNKNOWN_USER', `There is no ${option} ${JSON.stringify(value)}`);
  if (id < 0) throw systemError(id, option === 'user' ? 'getpwnam' : 'getgrnam', JSON.stringify(value));
  return id;
}

/**
 * The ids to give to chown(2); -1 leaves one as it is.
 *
 * @throws ListenFdsError LISTENFDS_UNKNOWN_USER
 */
export function ownerOf({ user, group }: { user: number | string | null; group: number | string | null }): Owner {
  return { uid: resolveName('user', user), gid: resolveName('group', group) };
}

function firstNumber(file: string): number | null {
  try {
    return Number.parseInt(fs.readFileSync(file, 'utf8'), 10);
  } catch {
    return null;
  }
}

/** user_namespaces(7): a map of all ids, as the first namespace has it, leaves none without a number. */
function mapsAll(file: string): boolean {
  try {
    return /^\s*0\s+\d+\s+4294967295\s*$/.test(fs.readFileSync(file, 'utf8'));
  } catch {
    return false;
  }
}

/** 65534 unless it was changed. */
let overflowUid: number | null = null;
let overflowGid: number | null = null;

/**
 * Whether a user id that the kernel told says who it is. It gives every user without a number in this user namespace,
 * and the sender of a message without credentials (pid 0), one and the same: `nobody`'s.
 */
export function isKnownUser(uid: number, pid: number): boolean {
  if (uid !== (overflowUid ??= firstNumber('/proc/sys/kernel/overflowuid') ?? 65534)) return true;
  return pid !== 0 && mapsAll('/proc/self/uid_map');
}

/** Whether that is this user, or root: nobody else is trusted with messages between processes of one service. */
export function isUsOrRoot(uid: number, pid: number): boolean {
  return isKnownUser(uid, pid) && (uid === 0 || uid === process.geteuid!());
}

/** The same as isKnownUser() for a group id. */
export function isKnownGroup(gid: number, pid: number): boolean {
  if (gid !== (overflowGid ??= firstNumber('/proc/sys/kernel/overflowgid') ?? 65534)) return true;
  return pid !== 0 && mapsAll('/proc/self/gid_map');
}
