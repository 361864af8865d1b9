// The newest systemd, for tests that boot another one than this machine's.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { cache } from './node-versions.js';

/** A folder with the newest systemd, fetched once: remove it to have a newer one. */
export function newestSystemd() {
  const folder = join(cache, 'systemd-sid');
  if (existsSync(folder)) return folder;
  console.error('fetching the systemd of Debian sid …');
  const work = mkdtempSync(`${folder}.`);
  const include = '--include=systemd,procps,python3,libstdc++6';
  execFileSync('debootstrap', ['--variant=minbase', include, 'sid', work], { stdio: ['ignore', 'ignore', 'inherit'] });
  renameSync(work, folder);
  return folder;
}
