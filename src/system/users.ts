// User and group names as ids, through nss.

import { binding, systemError } from './addon.js';
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
  const id = option === 'user' ? binding().userId(value) : binding().groupId(value);
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
