// Standard output and standard error that are the socket which was passed as standard input: systemd makes all three the
// same unless StandardOutput= says otherwise, and inetd always does.
import { binding, bindingIfAny } from '../system/addon.js';
import { fs } from '../system/builtins.js';

function socketInode(fd: number): number | null {
  try {
    const stats = fs.fstatSync(fd);
    return stats.isSocket() ? stats.ino : null;
  } catch {
    return null; // closed
  }
}

/** What is meant for a log must not go to a client, or fail on a listener: it goes to standard error, or nowhere. */
export function detachOutput(inode: number): void {
  const { replaceFd } = binding();
  if (socketInode(2) === inode) {
    const nothing = fs.openSync('/dev/null', 'w');
    replaceFd(nothing, 2);
    fs.closeSync(nothing);
  }
  if (socketInode(1) === inode) replaceFd(2, 1);
}

/** Before the program's first line: the first thing it logs to a listener would end it, with EPIPE. */
export function detachOutputFromListener(): void {
  const inode = socketInode(0);
  if (inode === null || (socketInode(1) !== inode && socketInode(2) !== inode)) return;
  const facts = bindingIfAny()?.facts(0);
  if (typeof facts === 'object' && facts.listening) detachOutput(inode);
}
