// How far a successor has got: what it says through NOTIFY_SOCKET, whether it lives, and how much time it has left.
import { privatePath } from '../open/private-place.js';
import { isUsOrRoot } from '../system/users.js';
import { announce } from '../manager/announce.js';
import type { Program } from '../programs/spawn.js';
import { binding } from '../system/addon.js';
import { ListenFdsError } from '../system/errors.js';
import { parseNotifyMessage } from '../text/notify-message.js';
import { Deadline } from './deadline.js';

export function failed(why: string, cause?: unknown): ListenFdsError {
  return new ListenFdsError('LISTENFDS_UPGRADE_FAILED', why, cause === undefined ? {} : { cause });
}

/** The time an upgrade may take, on the monotonic clock. It can be extended, and is never shortened. */
export class Allowance {
  readonly #over: Promise<never>;
  #fail!: (error: Error) => void;
  #at = 0;
  #timer: NodeJS.Timeout | undefined;
  /** What is waited for now. */
  subject = '';

  /** @param aborted gives the upgrade up as well */
  constructor(milliseconds: number, aborted: AbortSignal | undefined) {
    this.#over = new Promise((_, reject) => (this.#fail = reject));
    this.#over.catch(() => {}); // nobody may be waiting
    const abort = (): void => this.#fail(failed('The service is stopping'));
    if (aborted?.aborted) abort();
    aborted?.addEventListener('abort', abort, { once: true });
    this.extend(milliseconds);
  }

  /** It is over in so many milliseconds from now at the earliest. */
  extend(milliseconds: number): void {
    const at = performance.now() + milliseconds;
    if (at <= this.#at) return;
    this.#at = at;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fail(failed(`${this.subject} in time`)), milliseconds);
  }

  /** @throws ListenFdsError LISTENFDS_UPGRADE_FAILED where `work` takes longer */
  within<T>(subject: string, work: T | PromiseLike<T>): Promise<T> {
    this.subject = subject;
    return Promise.race([work, this.#over]);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/** A manager that has no room for that long does not read. Milliseconds. */
const relayTime = 30_000;

/**
 * What the successor wants the manager to keep, to forget or to acknowledge goes there through us, as long as it does not
 * know the manager itself.
 */
async function relay(message: string, fds: readonly number[]): Promise<void> {
  try {
    const isForManager = /^(FDSTORE|FDSTOREREMOVE|BARRIER)=1$/m.test(message);
    if (isForManager) await announce(message, { fds }, relayTime);
  } catch (error) {
    const what = `What the successor tells the service manager is lost: ${(error as Error).message}`;
    process.emitWarning(what, 'ListenFdsWarning');
  } finally {
    for (const fd of fds) binding().closeElsewhere(fd);
  }
}

/** What the successor says. */
export interface Progress {
  /** NOTIFY_SOCKET for it. */
  readonly address: string;
  /** Resolves with the main process's pid, null where that is the one we started, when it is ready. */
  readonly ready: Promise<number | null>;
  /** Whether it has said so. */
  readonly isReady: boolean;
  /** Resolves when it says that it ends. */
  readonly leaving: Promise<void>;
  close(): void;
}

export async function openProgress(allowance: Allowance): Promise<Progress> {
  const { openNotifySocket } = await import('../sockets/room.js');
  const path = privatePath('notify');
  let beReady!: (pid: number | null) => void;
  let leave!: () => void;
  let isReady = false;
  const ready = new Promise<number | null>((resolve) => (beReady = resolve));
  const leaving = new Promise<void>((resolve) => (leave = resolve));
  const close = openNotifySocket({
    path,
    mode: 0o600,
    receiveFds: true,
    accepts: ({ uid, pid }) => isUsOrRoot(uid, pid),
    heard(text, fds) {
      void relay(text, fds);
      const said = parseNotifyMessage(text);
      const extend = Number(said.get('EXTEND_TIMEOUT_USEC'));
      if (extend > 0) allowance.extend(extend / 1000);
      if (said.get('STOPPING') === '1' || said.has('EXIT_STATUS')) leave();
      if (said.get('READY') !== '1') return;
      isReady = true;
      beReady(Number(said.get('MAINPID')) || null);
    },
  });
  return {
    address: path,
    ready,
    get isReady() {
      return isReady;
    },
    leaving,
    close,
  };
}

/**
 * So long a successor is looked at after READY=1 before the old process leaves: a bug behind `await serve()` shows at once,
 * and as long as there are two nobody is refused. Milliseconds.
 */
const lookTime = 500;

/** Waits for READY=1 and looks whether it lasts. @returns the main process's pid */
export async function untilReady(program: Program, progress: Progress, allowance: Allowance): Promise<number> {
  const name = `The successor (pid ${program.pid})`;
  const lost = (how: string): ListenFdsError =>
    failed(`${name} ${how} ${progress.isReady ? 'right after' : 'before'} it was ready`);
  const ended = program.exited.then(async ({ code, signal }) => {
    await new Promise((resolve) => setImmediate(resolve)); // what it said last is read
    throw lost(signal === null ? `ended with status ${code}` : `ended by ${signal}`);
  });
  const leaving = progress.leaving.then(() => {
    throw lost('said that it ends');
  });
  for (const losing of [ended, leaving]) losing.catch(() => {});
  const pid = await allowance.within(`${name} was not ready`, Promise.race([progress.ready, ended]));
  allowance.extend(2 * lookTime);
  let timer: NodeJS.Timeout | undefined;
  const looked = new Promise<void>((resolve) => (timer = setTimeout(resolve, lookTime)));
  await allowance
    .within(`${name} was not looked at`, Promise.race([looked, ended, leaving]))
    .finally(() => clearTimeout(timer));
  return pid ?? program.pid;
}

/** How long a successor that fails has for the requests it has accepted. Milliseconds. */
const leaveTime = 10_000;

/**
 * Ends a successor that will not be one: what it has accepted it may answer.
 *
 * @param released whether it is no child of ours any more
 */
export async function dismiss(program: Program, released: boolean): Promise<void> {
  if (program.exit) return;
  program.kill('SIGTERM', true);
  const timer = setTimeout(() => program.kill('SIGKILL', true), leaveTime);
  if (!released) await program.exited;
  // Somebody else's child by now: how it ends is not told here.
  const patience = performance.now() + leaveTime + 1_000;
  while (released && program.kill(0) && performance.now() < patience) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  clearTimeout(timer);
}

/** So long a stop waits for a start that was given up: nobody else knows that process. Milliseconds. */
const lateStartTime = 15_000;

/** A file system that does not answer may hold a start up: what comes of it too late is ended. */
export async function inTime(starting: Promise<Program>, allowance: Allowance): Promise<Program> {
  try {
    return await allowance.within('The program of the successor was not started', starting);
  } catch (error) {
    const ended = starting.then((late) => dismiss(late, false)).catch(() => {});
    await new Deadline(lateStartTime).within('The successor', ended).catch(() => {});
    throw error;
  }
}
