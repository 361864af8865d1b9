// What a path leads to.

import type { BigIntStats } from 'node:fs';
import { fs } from './builtins.js';

export function sameInode(a: BigIntStats | undefined, b: BigIntStats | undefined): boolean {
  return a !== undefined && b !== undefined && a.ino === b.ino && a.dev === b.dev;
}

export function lstat(path: string): BigIntStats | undefined {
  return fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

/** Unlinks `path` if it still is the file `own`. */
export function removeOwn(path: string, own: BigIntStats | undefined): void {
  try {
    if (sameInode(lstat(path), own)) fs.unlinkSync(path);
  } catch {
    // The directory is gone or closed to us by now; the path is stale and will be replaced by the next start.
  }
}
