// The newest systemd, for tests that boot another one than this machine's.
import { execFileSync } from 'node:child_process';
import { cachedFolder } from './node-versions.js';

/** A folder with the newest systemd. */
export const newestSystemd = () =>
  cachedFolder('systemd-sid', (work) => {
    console.error('fetching the systemd of Debian sid …');
    const include = '--include=systemd,procps,python3,libstdc++6';
    const stdio = ['ignore', 'ignore', 'inherit'];
    execFileSync('debootstrap', ['--variant=minbase', include, 'sid', work], { stdio });
  });
