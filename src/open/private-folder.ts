// A folder beside a path, in which a socket is made ready before anybody can find it.
import { fs, path as paths } from '../system/builtins.js';
import { EEXIST } from '../system/errnos.js';
import { HeldFile, lstat } from '../system/files.js';

export class PrivateFolder {
  readonly #folder: HeldFile;
  readonly #name: string;
  /** Where to make the socket. Through the folder's descriptor: the owner of the folder around it may rename it at any time. */
  readonly file: string;

  /** @param path the final path of the socket that is made in it */
  constructor(path: string) {
    this.#name = fs.mkdtempSync(paths.join(paths.dirname(path), '.listenfds-'));
    const folder = HeldFile.open(this.#name);
    if (folder === null) throw noLonger(this.#name);
    const { uid, mode } = folder.stat;
    // Somebody may have put another folder in its place before it was held; nobody else can make one of this user's.
    if (Number(uid) !== process.geteuid!() || (Number(mode) & 0o170077) !== 0o040000) {
      folder.release();
      throw noLonger(this.#name);
    }
    this.#folder = folder;
    this.file = `${folder.path}/s`;
  }

  /**
   * Takes `expected` away from a path. Another file that has come up there since is put back.
   *
   * @param isStale asked once more when nobody can find it any more
   * @returns whether the path was free then
   */
  takeAway(path: string, expected: HeldFile, isStale: () => boolean = () => true): boolean {
    if (!expected.isAt(path)) return lstat(path) === undefined;
    const aside = `${this.#folder.path}/aside`;
    try {
      fs.renameSync(path, aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
      throw error;
    }
    const isExpected = expected.isAt(aside) && isStale();
    if (!isExpected) putBack(aside, path);
    remove(aside);
    return isExpected;
  }

  remove(): void {
    remove(this.file); // it may have a link elsewhere by now, or was never made
    try {
      fs.rmdirSync(this.#name);
    } catch {
      // somebody has moved it
    }
    this.#folder.release();
  }
}

function putBack(aside: string, path: string): void {
  try {
    fs.linkSync(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return; // somebody was faster still
    fs.renameSync(aside, path); // a directory, or a file that we may not link to
  }
}

function remove(file: string): void {
  try {
    fs.unlinkSync(file);
  } catch {
    // it is not there
  }
}

function noLonger(name: string): NodeJS.ErrnoException {
  const message = `somebody has replaced ${name} as soon as it was made`;
  return Object.assign(new Error(message), { code: 'EEXIST', errno: EEXIST, path: name });
}
