// Starting a program as a service manager does: with exactly these descriptors from number 3 on, LISTEN_PID right, and
// nothing else inherited. No policy: when to start, what to pass and what an exit means is the caller's.
// node:child_process cannot: the pid that LISTEN_PID has to say is known only between fork(2) and execve(2), a shell
// that adds it drops the variables whose names it does not like and is missing in many containers.
import { type Binding, binding, systemError } from '../system/addon.js';
import { fs } from '../system/builtins.js';
import { EACCES, EAGAIN, ENOENT, ENOEXEC, ENOMEM } from '../system/errnos.js';
import { listenVariables } from '../text/environment.js';
import { fdName } from '../text/notify-state.js';
import { badOption, badValue } from '../text/options.js';
import { findExecutable } from './executable.js';

export interface StartOptions {
  /** Passed as 3, 4, …; they stay open here, and stay the caller's. */
  fds?: readonly number[];
  /**
   * LISTEN_FDNAMES, one for each.
   * @default none: the program sees 'unknown'
   */
  names?: readonly string[];
  /**
   * Its variables. LISTEN_* in it are replaced or removed, never passed on.
   * @default process.env
   */
  env?: NodeJS.ProcessEnv;
  /** NOTIFY_SOCKET: an address, or null for none; absent, what `env` says. Either way WATCHDOG_* is removed. */
  notifySocket?: string | null;
  /**
   * Descriptors 0, 1 and 2: one of ours, or null for /dev/null.
   * @default [0, 1, 2], ours
   */
  stdio?: readonly [number | null, number | null, number | null];
  /** @default ours */
  cwd?: string;
  /**
   * Whether it leads a process group of its own: then a terminal's Ctrl-C does not reach it, and kill(-pid) reaches all
   * of it.
   * @default false
   */
  ownGroup?: boolean;
}

/** How a program ended: one of the two is null. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Program {
  readonly pid: number;
  /** Null while it runs. */
  readonly exit: Exit | null;
  /** Resolves when it has ended; never rejects. */
  readonly exited: Promise<Exit>;
  /** Sends a signal to it (`group`: to its process group), 0 only asks; false when it has ended. */
  kill(signal: NodeJS.Signals | 0, group?: boolean): boolean;
  /** Lets our event loop end while it runs. */
  unref(): void;
  /**
   * For a program that startReleasable() has started: makes it the child of the service manager, or whoever else gets our orphans,
   * and not of ours. How it ends is not known here from then on: `exited` stays as it is.
   */
  release(): Promise<void>;
}

/**
 * When a process was started, which tells it from another one of that pid; NaN, which equals nothing, when it has ended,
 * reaped or not. proc_pid_stat(5)
 */
export function birthOf(pid: number): number {
  try {
    return Number(/.*\) [^ZX](?: \S+){18} (\d+)/s.exec(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1]);
  } catch {
    return fs.existsSync('/proc/self') ? NaN : 0;
  }
}

/** How long an orphan may take to answer its last requests. Milliseconds. */
const orphanPatience = 10_000;

class Started implements Program {
  readonly pid: number;
  exit: Exit | null = null;
  readonly exited: Promise<Exit>;
  readonly #child: number;
  readonly #birth: number;
  #resolve!: (exit: Exit) => void;
  #released: (() => void) | null = null;
  // Keeps the event loop alive as a child process does, without ever firing: the longest delay there is.
  readonly #alive = setInterval(() => {}, 0x7fffffff);

  /** `child` is the one between us and a releasable program. */
  constructor(pid: number, child: number) {
    this.pid = pid;
    this.#child = child;
    this.#birth = birthOf(pid);
    this.exited = new Promise((resolve) => (this.#resolve = resolve));
  }

  ended(exit: Exit): void {
    clearInterval(this.#alive);
    if (this.#released) {
      this.#released();
      return;
    }
    if (this.#child !== this.pid) this.#endOrphan();
    this.exit = exit;
    this.#resolve(exit);
  }

  /** The one in between ends after the program; killed before that, it leaves an orphan that nobody here would end. */
  #endOrphan(): void {
    if (this.kill('SIGTERM')) setTimeout(() => this.kill('SIGKILL'), orphanPatience).unref();
  }

  kill(signal: NodeJS.Signals | 0, group = false): boolean {
    // A pid is somebody else's once it is reaped, and the one in between reaps as well. A group outlives its leader.
    if (group ? this.exit : birthOf(this.pid) !== this.#birth) return false;
    try {
      return process.kill(group ? -this.pid : this.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
      throw error;
    }
  }

  release(): Promise<void> {
    if (this.#child === this.pid || this.exit) return Promise.resolve();
    return new Promise((resolve) => {
      this.#released = resolve;
      process.kill(this.#child, 'SIGKILL');
    });
  }

  unref(): void {
    this.#alive.unref();
  }
}

const running = new Map<number, Started>();
let onOrphan: ((pid: number, exit: Exit) => void) | null = null;

function exitOf({ code, signal }: { code: number | null; signal: number | null }): Exit {
  if (signal === null) return { code, signal: null };
  const { signals } = process.getBuiltinModule('node:os').constants;
  const name = (Object.keys(signals) as NodeJS.Signals[]).find((one) => signals[one] === signal);
  return { code: null, signal: name ?? (`SIG${signal}` as NodeJS.Signals) };
}

/** Several exits may come as one signal. */
function reap(): void {
  const { reapProcess } = binding();
  for (const [pid, program] of running) {
    const found = reapProcess(pid);
    if (found === null) continue;
    running.delete(pid);
    // ECHILD: somebody else has reaped it, and knows how it ended; we do not.
    program.ended(typeof found === 'number' ? { code: null, signal: null } : exitOf(found));
  }
  while (onOrphan) {
    const found = reapProcess(-1);
    if (found === null || typeof found === 'number') break;
    onOrphan(found.pid, exitOf(found));
  }
  if (running.size === 0 && onOrphan === null) process.off('SIGCHLD', reap);
}

function watchExits(): void {
  if (!process.listeners('SIGCHLD').includes(reap)) process.on('SIGCHLD', reap);
}

/**
 * Makes orphaned descendants our children, keeps the event loop alive, and tells when one ends: a program that has handed
 * its work over to a successor of its own and left. As PID 1 of a container it is the reaping that a PID 1 owes.
 *
 * Not for a process that uses node:child_process as well: this would take its exit statuses away.
 */
export function adoptOrphans(callback: (pid: number, exit: Exit) => void): void {
  const result = binding().becomeSubreaper();
  if (result < 0) throw systemError(result, 'prctl', 'PR_SET_CHILD_SUBREAPER');
  onOrphan = callback;
  watchExits();
  // Nothing else keeps us alive while only orphans run: a listener of SIGCHLD does not.
  setInterval(() => {}, 0x7fffffff);
}

function highestFd(): number {
  try {
    return Math.max(...fs.readdirSync('/proc/self/fd').map(Number));
  } catch {
    return 1023; // no /proc: only kernels older than 5.11 need it
  }
}

function variables(options: StartOptions): string[] {
  const { fds = [], names, env = process.env, notifySocket } = options;
  const all: NodeJS.ProcessEnv = { ...env };
  for (const name of listenVariables) delete all[name];
  delete all['WATCHDOG_PID'];
  delete all['WATCHDOG_USEC'];
  if (fds.length > 0) all['LISTEN_FDS'] = String(fds.length);
  if (names && fds.length > 0) all['LISTEN_FDNAMES'] = names.join(':');
  if (notifySocket === null) delete all['NOTIFY_SOCKET'];
  else if (notifySocket !== undefined) all['NOTIFY_SOCKET'] = notifySocket;
  return Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
}

function check({ fds = [], names }: StartOptions): void {
  if (names === undefined) return;
  if (names.length !== fds.length) {
    throw badOption(`names has ${names.length} entries for ${fds.length} descriptors`);
  }
  const bad = names.find((name) => !/^[\x20-\x7e]{0,255}$/.test(name) || name.includes(':'));
  if (bad === undefined) return;
  throw badValue('The name of a descriptor', bad, `${fdName.allowed}, or empty`);
}

/**
 * Starts a program and returns once it runs.
 *
 * @example
 * const successor = start([process.execPath, 'app.js'], { fds: [listener], names: ['web'] });
 * const { code } = await successor.exited;
 *
 * @throws an Error with code ENOENT or EACCES if there is no such program, or what fork(2) and execve(2) fail with
 * @throws ListenFdsError LISTENFDS_BAD_OPTION, LISTENFDS_NO_ADDON
 */
export function start(command: readonly string[], options: StartOptions = {}): Program {
  const plan = prepare(command, options);
  try {
    watchExits();
    let pid = binding().startProcess(...plan.launch());
    // A script without a first line that says what runs it: execvp(3) and every shell take sh(1).
    if (pid === ENOEXEC) pid = binding().startProcess(...plan.launchShell());
    return plan.started(pid < 0 ? pid : { pid, child: pid });
  } finally {
    plan.close();
  }
}

/**
 * The same for a program that release() can make somebody else's child; until then there is a process in between. The
 * event loop turns while it starts.
 */
export async function startReleasable(command: readonly string[], options: StartOptions = {}): Promise<Program> {
  const plan = prepare(command, options);
  try {
    watchExits();
    let found = await binding().startGuardedProcess(...plan.launch());
    if (found === ENOEXEC) found = await binding().startGuardedProcess(...plan.launchShell());
    return plan.started(found);
  } finally {
    plan.close();
  }
}

type Launch = Parameters<Binding['startProcess']>;

interface Plan {
  launch(): Launch;
  launchShell(): Launch;
  started(found: { pid: number; child: number } | number): Program;
  close(): void;
}

function prepare(command: readonly string[], options: StartOptions): Plan {
  check(options);
  const { fds = [], stdio = [0, 1, 2], env = process.env, cwd = null, ownGroup = false } = options;
  const [name = ''] = command;
  const found = findExecutable(name, env, cwd ?? undefined);
  if (found.error) throw systemError(found.error === 'ENOENT' ? ENOENT : EACCES, 'execve', name);

  const nothing = stdio.includes(null) ? fs.openSync('/dev/null', fs.constants.O_RDWR) : -1;
  const all = Int32Array.from([...stdio.map((fd) => fd ?? nothing), ...fds]);
  const launch = (file: string, argv: readonly string[]): Launch => [
    file,
    argv,
    variables(options),
    all,
    cwd,
    ownGroup,
    fds.length > 0,
    highestFd(),
  ];
  return {
    launch: () => launch(found.path, command),
    launchShell: () => launch('/bin/sh', ['sh', found.path, ...command.slice(1)]),
    started(result) {
      // Only when a process is made is the kernel short of one: execve(2) has that one already.
      const call = result === EAGAIN || result === ENOMEM ? 'fork' : 'execve';
      if (typeof result === 'number') throw systemError(result, call, name);
      const program = new Started(result.pid, result.child);
      running.set(result.child, program);
      reap(); // it may have ended before anybody here knew of it
      return program;
    },
    close() {
      if (nothing >= 0) fs.closeSync(nothing);
    },
  };
}
