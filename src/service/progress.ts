// How far a successor has got: what it says through NOTIFY_SOCKET, whether it lives, and how much time it has left.
import { privatePath } from '../open/private-place.js';
import { isUsOrRoot } from '../system/users.js';
import { announce } from '../manager/announce.js';
import type { Program } from '../programs/spawn.js';
import { binding } from '../system/addon.js';
import { ListenFdsError } from '../system/errors.js';
import { parseNotifyMessage } from '../text/notify-message.js';
import { Deadline } from './deadline.js';
import { turns } from './turns.js';

export function failed(why: string, cause?: unknown): ListenFdsError {
  return new ListenFdsError('LISTENFDS_UPGRADE_FAILED', why, cause === undefined ? {} : { cause });
}

/** The time an upgrade may take, on the monotonic clock. It can be extended, and is never shortened. */
export class Allowance {
  readonly #abort = new AbortController();
  readonly #over: Promise<never>;
  #at = 0;
  #timer: NodeJS.Timeout | undefined;
  /** What is waited for now. */
  subject = '';

  constructor(milliseconds: number, stopping: AbortSignal | undefined) {
    this.#over = new Promise((_, reject) => {
      this.signal.addEventListener('abort', () => reject(this.signal.reason as Error));
    });
    this.#over.catch(() => {}); // nobody may be waiting
    const stop = (): void => this.fail('The service is stopping');
    if (stopping?.aborted) stop();
    stopping?.addEventListener('abort', stop, { once: true });
    this.extend(milliseconds);
  }

  /** Aborted when the upgrade is to be given up, whatever the reason. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  fail(why: string): void {
    this.#abort.abort(failed(why));
  }

  /** It is over in so many milliseconds from now at the earliest. */
  extend(milliseconds: number): void {
    const at = performance.now() + milliseconds;
    if (at <= this.#at) return;
    this.#at = at;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.fail(`${this.subject} in time`), milliseconds);
  }

  /** @throws ListenFdsError LISTENFDS_UPGRADE_FAILED if `work` takes longer */
  within<T>(subject: string, work: T | PromiseLike<T>): Promise<T> {
    this.subject = subject;
    return Promise.race([work, this.#over]);
  }

  /** From here on time does not end it. */
  end(): void {
    clearTimeout(this.#timer);
  }
}

/** A manager that has no room for that long does not read. Milliseconds. */
const relayTime = 30_000;

/**
 * Requests of the successor to the manager, to keep, to forget or to acknowledge, go there through us, as long as it does not
 * know the manager itself.
 */
async function relay(message: string, fds: readonly number[]): Promise<void> {
  try {
    const isForManager = /^(FDSTORE|FDSTOREREMOVE|BARRIER)=1$/m.test(message);
    if (isForManager) await announce(message, { fds }, relayTime);
  } catch (error) {
    const what = `A message of the successor to the service manager is lost: ${(error as Error).message}`;
    process.emitWarning(what, 'ListenFdsWarning');
  } finally {
    for (const fd of fds) binding().closeElsewhere(fd);
  }
}

/** What the successor says. */
export interface Progress {
  /** NOTIFY_SOCKET for it. */
  readonly address: string;
  /** Resolves with the main process's pid, null if that is the one we started, when it is ready. */
  readonly ready: Promise<number | null>;
  /** Resolves when it says that it ends. */
  readonly leaving: Promise<void>;
  close(): void;
}

export async function openProgress(allowance: Allowance): Promise<Progress> {
  const { openNotifySocket } = await import('../sockets/room.js');
  const path = privatePath('notify');
  let beReady!: (pid: number | null) => void;
  let leave!: () => void;
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
      beReady(Number(said.get('MAINPID')) || null);
    },
  });
  return { address: path, ready, leaving, close };
}

/**
 * So long a successor is looked at after READY=1 before the old process leaves: a bug behind `await serve()` shows at once,
 * and as long as there are two nobody is refused. Milliseconds.
 */
const lookTime = 500;

/** Waits for READY=1 and looks whether it lasts. @returns the main process's pid */
export async function untilReady(program: Program, progress: Progress, allowance: Allowance): Promise<number> {
  const name = `The successor (pid ${program.pid})`;
  let when = 'before';
  const lose = (how: string): void => allowance.fail(`${name} ${how} ${when} it was ready`);
  void program.exited.then(async ({ code, signal }) => {
    await turns(); // its last message is read
    lose(signal === null ? `ended with status ${code}` : `ended by ${signal}`);
  });
  const ready = progress.ready.then((pid) => {
    when = 'right after';
    void progress.leaving.then(() => lose('said that it ends'));
    return pid;
  });
  const pid = await allowance.within(`${name} was not ready`, ready);
  allowance.extend(2 * lookTime);
  const looked = new Promise((resolve) => setTimeout(resolve, lookTime).unref());
  await allowance.within(`${name} was not looked at`, looked);
  return pid ?? program.pid;
}

/** How long a successor that fails has for the requests it has accepted. Milliseconds. */
const leaveTime = 10_000;

/** Ends a successor that will not be one: its accepted requests it may answer. */
export async function dismiss(program: Program): Promise<void> {
  for (const [signal, time] of [
    ['SIGTERM', leaveTime],
    ['SIGKILL', 1_000],
  ] as const) {
    program.kill(signal, true);
    const deadline = new Deadline(time);
    while (deadline.left > 0) {
      // It may be somebody else's child by now: how it ends is not told here.
      if (!program.kill(0)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** So long a stop waits for a start that was given up: nobody else knows that process. Milliseconds. */
const lateStartTime = 15_000;

/** A file system that does not answer may hold a start up: a process that comes of it too late is ended. */
export async function inTime(starting: Promise<Program>, allowance: Allowance): Promise<Program> {
  try {
    return await allowance.within('The program of the successor was not started', starting);
  } catch (error) {
    const ended = starting.then((late) => dismiss(late)).catch(() => {});
    await new Deadline(lateStartTime).within('The successor', ended).catch(() => {});
    throw error;
  }
}
