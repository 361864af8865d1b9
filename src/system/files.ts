// What a path leads to.

import type { BigIntStats } from 'node:fs';
import { fs } from './builtins.js';

export function sameInode(a: BigIntStats | undefined, b: BigIntStats | undefined): boolean {
  return a !== undefined && b !== undefined && a.ino === b.ino && a.dev === b.dev;
}

export function lstat(path: string): BigIntStats | undefined {
  return fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

/** What stat(2) says. Undefined where it fails, whatever the reason: a folder may be closed to us, or no folder. */
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

/** Unlinks `path` if it still is the file `own`. */
export function removeOwn(path: string, own: BigIntStats | undefined): void {
  try {
    if (sameInode(lstat(path), own)) fs.unlinkSync(path);
  } catch {
    // The directory is gone or closed to us by now; the path is stale and will be replaced by the next start.
  }
}
