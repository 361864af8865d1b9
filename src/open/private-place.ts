// The folder for sockets that only this user and root may reach.
import { fs, path as paths } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { lstat } from '../system/files.js';
import { isKnownUser } from '../system/users.js';
import { maxPathBytes } from '../text/address.js';

/** Bytes that a name in it can have. */
const room = 48;

/** A folder in which nobody else can take our files away: root's, or ours, and sticky if others write to it as well. */
function isTrusted(parent: string, us: number): boolean {
  const found = fs.statSync(parent, { throwIfNoEntry: false });
  if (!found?.isDirectory() || (found.uid !== 0 && found.uid !== us)) return false;
  return (found.mode & 0o022) === 0 || (found.mode & 0o1000) !== 0;
}

function isPrivate(folder: string, us: number): boolean {
  const found = lstat(folder);
  if (!found?.isDirectory() || Number(found.uid) !== us || !isKnownUser(us, process.pid)) return false;
  return (Number(found.mode) & 0o77) === 0;
}

function makeIn(parent: string, us: number): string {
  const folder = paths.join(parent, `listenfds-${us}`);
  try {
    fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  // Another user may have made one of that name.
  return isPrivate(folder, us) ? folder : fs.mkdtempSync(`${folder}-`);
}

/**
 * A folder of mode 0700, one for all programs of this user. It stays: a name in it must not become anybody else's.
 *
 * @throws ListenFdsError LISTENFDS_UNSUPPORTED if there is none, and none can be made
 */
export function privatePlace(env: NodeJS.ProcessEnv = process.env): string {
  const us = process.geteuid!();
  const temporary = process.getBuiltinModule('node:os').tmpdir();
  const parents = [env['RUNTIME_DIRECTORY']?.split(':')[0], env['XDG_RUNTIME_DIR'], temporary, '/dev/shm'];
  const tried: string[] = [];
  for (const parent of parents) {
    if (!parent || !paths.isAbsolute(parent) || Buffer.byteLength(parent) + room + 32 > maxPathBytes) continue;
    try {
      if (isTrusted(parent, us)) return makeIn(parent, us);
      tried.push(`${parent} belongs to somebody else`);
    } catch (error) {
      tried.push((error as Error).message);
    }
  }
  throw new ListenFdsError(
    'LISTENFDS_UNSUPPORTED',
    `There is no place for a private socket: ${tried.join('; ')}. RuntimeDirectory= or PrivateTmp=yes of the unit makes one`,
  );
}

/** A path in it that nothing has yet. */
export function privatePath(prefix: string): string {
  const { randomBytes } = process.getBuiltinModule('node:crypto');
  return paths.join(privatePlace(), `${prefix}-${randomBytes(8).toString('hex')}`);
}
