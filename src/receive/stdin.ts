// The socket on fd 0: as StandardInput=socket and inetd pass it.
import { binding, bindingIfAny, systemError } from '../system/addon.js';
import { fs } from '../system/builtins.js';
import { isSocketOpen } from '../system/files.js';
import { isServiceStdin } from '../system/stdin.js';
import { type Description, describeFacts } from './descriptor.js';
import { Inherited, type InheritedFd, refuseWorkerThread, registry } from './inherited.js';
import { detachOutput } from './output.js';

/** Gives fd 0 another number and puts /dev/null in its place. @returns the number */
function moveStdin(): number {
  const { duplicate, replaceFd: replace } = binding();
  const nothing = fs.openSync('/dev/null', 'r');
  try {
    const fd = duplicate(0);
    if (fd < 0) throw systemError(fd, 'fcntl', 'fd 0');
    const replaced = replace(nothing, 0);
    if (replaced < 0) {
      fs.closeSync(fd);
      throw systemError(replaced, 'dup2', 'fd 0');
    }
    return fd;
  } finally {
    fs.closeSync(nothing);
  }
}

/**
 * The socket on fd 0 that StandardInput=socket passes without any LISTEN_* variable, if `wanted` says yes to it. It moves
 * to a number of its own and fd 0 becomes /dev/null: no child inherits it as its standard input, and nothing else ever
 * lands on number 0 when the server closes. Taken once it stays known; refused it stays where it is.
 */
export function adoptStdin(wanted: (found: Description) => boolean): InheritedFd | null {
  refuseWorkerThread();
  const state = registry();
  if (state.stdin) return state.stdin;
  // Most programs have a terminal, a pipe or /dev/null here; they need no addon to find out.
  if (!isSocketOpen(0)) return null;
  // A child's standard input is often a socket of its parent's. Only for one that was passed is a missing addon an error.
  if (bindingIfAny() === null && isServiceStdin() !== true) return null;
  const facts = binding().facts(0);
  if (typeof facts === 'number') return null;
  const description = describeFacts(facts);
  if (!wanted(description)) return null;
  const fd = moveStdin();
  detachOutput(fd);
  state.stdin = new Inherited('stdin', { ...description, fd, cloexec: true }, { origin: 'manager' });
  return state.stdin;
}
