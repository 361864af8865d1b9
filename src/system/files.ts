// The file that a path leads to, held so that it stays the same.

import type { BigIntStats } from 'node:fs';
import { fs } from './builtins.js';

export function lstat(path: string): BigIntStats | undefined {
  return fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

/** The answer of stat(2). Undefined if it fails for any reason: a folder may be closed to us, or no folder. */
export function stat(path: string): BigIntStats | undefined {
  try {
    return fs.statSync(path, { bigint: true });
  } catch {
    return undefined;
  }
}

/** Whether a descriptor is open, and a socket. */
export function isSocketOpen(fd: number): boolean {
  try {
    return fs.fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}

/** open(2); Node has no name for it. */
const O_PATH = 0o10000000;

let canHold: boolean | undefined;

/** Elsewhere than on Linux, and without /proc, there is nothing but names. */
const hasPaths = (): boolean => (canHold ??= process.platform === 'linux' && fs.existsSync('/proc/self/fd'));

/**
 * A file of any kind, known by a descriptor instead of its name: whoever may write to a folder can put something else under
 * that name at any moment. As long as it is held, the number of its inode is no other file's; file systems such as ext4
 * give the number of a removed file to the next one.
 */
export class HeldFile {
  readonly #fd: number | null;
  /** Leads to it and to nothing else, for calls that follow symbolic links. */
  readonly path: string;
  readonly stat: BigIntStats;

  private constructor(fd: number | null, path: string, stat: BigIntStats) {
    this.#fd = fd;
    this.path = path;
    this.stat = stat;
  }

  /** The file at `path`, a symbolic link as itself; null if there is none. */
  static open(path: string): HeldFile | null {
    if (!hasPaths()) {
      const stat = lstat(path);
      return stat ? new HeldFile(null, path, stat) : null;
    }
    let fd: number;
    try {
      fd = fs.openSync(path, O_PATH | fs.constants.O_NOFOLLOW);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    return HeldFile.#held(fd);
  }

  /** The file of a descriptor, held beyond its end. */
  static of(fd: number): HeldFile {
    if (hasPaths()) return HeldFile.#held(fs.openSync(`/proc/self/fd/${fd}`, O_PATH));
    return new HeldFile(null, '', fs.fstatSync(fd, { bigint: true }));
  }

  static #held(fd: number): HeldFile {
    return new HeldFile(fd, `/proc/self/fd/${fd}`, fs.fstatSync(fd, { bigint: true }));
  }

  isAt(path: string): boolean {
    const found = lstat(path);
    return found !== undefined && found.ino === this.stat.ino && found.dev === this.stat.dev;
  }

  /** Unlinks `path` if it still is this file. */
  removeAt(path: string): void {
    try {
      if (this.isAt(path)) fs.unlinkSync(path);
    } catch {
      // The directory is gone or closed to us by now; the path is stale and will be replaced by the next start.
    }
  }

  release(): void {
    if (this.#fd !== null) fs.closeSync(this.#fd);
  }
}
