// Standard output and standard error that are the socket which was passed as standard input: systemd makes all three the
// same unless StandardOutput= says otherwise, and inetd always does.
import { binding, bindingIfAny } from '../system/addon.js';
import { fs } from '../system/builtins.js';
import { procLink } from './descriptor.js';

/** Its inode, in the words of /proc; null if it is not a socket. fstat(2) takes twice as long here, at every start. */
function socketOn(fd: number): string | null {
  const link = procLink(fd);
  return link?.startsWith('socket:') ? link : null;
}

/**
 * Log lines must not go to a client, or fail on a listener: they go to standard error, or nowhere.
 *
 * @param fd of the socket that was passed
 */
export function detachOutput(fd: number): void {
  const { replaceFd } = binding();
  const passed = socketOn(fd);
  if (passed === null) return;
  if (socketOn(2) === passed) {
    const nothing = fs.openSync('/dev/null', 'w');
    replaceFd(nothing, 2);
    fs.closeSync(nothing);
  }
  if (socketOn(1) === passed) replaceFd(2, 1);
}

/** Before the program's first line: the first thing it logs to a listener would end it, with EPIPE. */
export function detachOutputFromListener(): void {
  const passed = socketOn(0);
  if (passed === null || (socketOn(1) !== passed && socketOn(2) !== passed)) return;
  const facts = bindingIfAny()?.facts(0);
  if (typeof facts === 'object' && facts.listening) detachOutput(0);
}
