// Whether the path of a unix listener still leads to it, and whether it will after a stop of the service.
import { isBoundTo } from '../receive/choose.js';
import type { Description } from '../receive/descriptor.js';
import { fs } from '../system/builtins.js';
import type { Holder } from './proc.js';
import type { Properties } from './systemctl.js';

type PathState = 'right' | 'missing' | 'replaced';

function stateAt(path: string, boundInode: Description['boundInode']): PathState {
  let isSocket: boolean;
  try {
    isSocket = fs.statSync(path).isSocket();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : 'right'; // a path that cannot be looked at may be in order
  }
  return isSocket && (boundInode === null || isBoundTo(path, boundInode)) ? 'right' : 'replaced';
}

/** The root directory of its process, seen from here. */
interface Seer {
  readonly root: string;
}

/**
 * The path is that of whoever bound it: the manager sees other folders than a service with PrivateTmp=, and a container's
 * process sees another root.
 */
function statesOf(
  path: string,
  bound: Description['boundInode'],
  holders: readonly Holder[],
  root: string,
): PathState[] {
  const managers = holders.filter(({ name }) => name === 'systemd').map((one) => `/proc/${one.pid}/root`);
  return [root, '', ...managers].map((one) => stateAt(one + path, bound));
}

export function pathState(
  { address, boundInode, family }: Description,
  holders: readonly Holder[],
  { root }: Seer,
): PathState {
  if (typeof address !== 'string' || !address.startsWith('/') || family !== 'unix') return 'right';
  // Bound through a descriptor, since it is long or was moved into place: where it is now nobody can tell.
  if (address.startsWith('/proc/self/')) return 'right';
  const states = statesOf(address, boundInode, holders, root);
  if (states.includes('right')) return 'right';
  return states.includes('replaced') ? 'replaced' : 'missing';
}

/** Whether a path leads to that socket, whatever name it was bound by. */
export function leadsTo(
  path: string,
  { boundInode }: Description,
  holders: readonly Holder[],
  { root }: Seer,
): boolean {
  return path.startsWith('/') && boundInode !== null && statesOf(path, boundInode, holders, root).includes('right');
}

/** RuntimeDirectory= of the service that a path lies in, if that goes with each stop; null if there is none. */
export function passingFolder(path: string, service: Properties | null | undefined): string | null {
  if (service?.['RuntimeDirectoryPreserve'] !== 'no') return null;
  const folders = (service['RuntimeDirectory'] ?? '').split(' ').filter((folder) => folder !== '');
  const [, below] = /^(?:\/var)?\/run\/(?:user\/[0-9]+\/)?(.*)$/.exec(path) ?? [];
  return folders.find((folder) => below?.startsWith(`${folder}/`)) ?? null;
}
