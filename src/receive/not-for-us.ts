// "Not meant for us" is not "nothing there": sockets were passed to a process before this one, a launcher most often, and
// whoever binds beside them should hear of it.
import { fs } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { isSocketOpen } from '../system/files.js';
import { firstFd } from '../text/environment.js';
import { meantForPid, registry } from './inherited.js';

/** The kernel's name for a process, as in ps(1); null if it has ended or cannot be seen. A command line may have secrets. */
function nameOf(pid: number): string | null {
  try {
    return fs
      .readFileSync(`/proc/${pid}/comm`, 'utf8')
      .replaceAll(/\p{Cc}+/gu, ' ')
      .trim();
  } catch {
    return null;
  }
}

/** Who the sockets were passed to, as part of a sentence. Null if LISTEN_PID names nobody else. */
export function passedElsewhere(): string | null {
  const pid = meantForPid();
  if (pid === null) return null;
  if (pid === process.pid) {
    return 'LISTEN_PIDFDID is that of another process: whoever set LISTEN_PID anew left it behind';
  }
  const name = nameOf(pid);
  const who = name === null ? 'a process that has ended' : `another process, ${name},`;
  return `LISTEN_PID=${pid} names ${who} and not this one (pid ${process.pid})`;
}

/** The remedy: a parent that left the descriptors open can be answered for, one that closed them cannot. */
function remedy(): string {
  const ipc = (process.channel as { fd?: number } | undefined)?.fd; // number 3 of a program that node --watch starts
  const count = Number(registry().consumed?.LISTEN_FDS ?? 1);
  const open = Array.from({ length: Math.min(count, 64) }, (_, i) => firstFd + i).every(
    (fd) => isSocketOpen(fd) && fd !== ipc,
  );
  if (!open) return 'They are closed in this process, so it cannot use them';
  const accepts = meantForPid() === process.ppid ? 'parent' : 'any';
  return `They are open in this process: LISTENFDS_PID=${accepts} in its environment lets it use them`;
}

const saidKey = Symbol.for('listenfds.notForUs');

/** Says once in a process that the descriptors are not for it. To be called before it binds instead. */
export function warnOfPassedElsewhere(): void {
  const why = passedElsewhere();
  const holder = globalThis as { [saidKey]?: true };
  if (why === null || holder[saidKey]) return;
  holder[saidKey] = true;
  const error = new ListenFdsError('LISTENFDS_NOT_FOR_US', `Sockets were passed, but ${why}. ${remedy()}`);
  process.emitWarning(error.message, { type: 'ListenFdsWarning', code: error.code });
}

/** The manager holds the address that is in use: the error of Node says so then. */
export function explainInUse(error: unknown): unknown {
  const why = passedElsewhere();
  if (why !== null && error instanceof Error && (error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
    error.message += ` (sockets were passed, but ${why}: it may be one of them)`;
  }
  return error;
}
