// Upgrade: start the program anew with all our sockets, and leave when it is ready. Until then, and if it never gets
// there, nothing changes for anyone.
import type { Socket } from 'node:net';
import { announce } from '../manager/announce.js';
import { notify, notifyBarrier } from '../manager/notify.js';
import { ownSockets } from '../open/own.js';
import type { Program } from '../programs/spawn.js';
import { isOpenOn } from '../receive/descriptor.js';
import { binding, bindingIfAny } from '../system/addon.js';
import { fs, path as paths } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { startEnvironment, started } from '../system/started.js';
import { listenFds } from '../take/listen-fds.js';
import { parseNotifyMessage } from '../text/notify-message.js';
import { fdName } from '../text/notify-state.js';
import { type TableOf, anything, given, readOptions, span } from '../text/options.js';
import { type HeldConnection, holdConnection } from './connections.js';
import { Briefing, abstractName, upgradeVariable } from './successor.js';

/** Options of an upgrade. */
export interface UpgradeOptions {
  /**
   * What to start.
   * @default this program: the same node, its options, the script and its arguments, with the environment and the working
   * directory that it was started with
   */
  command?: readonly string[];
  /**
   * How long it may take to get ready: milliseconds, or a time span such as '1min'. EXTEND_TIMEOUT_USEC= from it counts.
   * @default 60000
   */
  timeout?: number | string;
  /** Handed to the successor's upgradeState(): what node:v8 can serialise, at most 64 MiB. */
  state?: unknown;
  /**
   * Open connections to hand over, by the name the successor finds them under in listenFds(). Only raw TCP and unix
   * sockets with nothing in their buffers: what is read but not handled, or written but not sent, cannot move.
   */
  connections?: Readonly<Record<string, readonly Socket[]>>;
}

/** What an upgrade has led to. */
export interface UpgradeResult {
  /** The process that serves now. */
  readonly pid: number;
  /** How long it took to get there, in milliseconds. */
  readonly durationMs: number;
}

/** The options of service.upgrade(). */
export const upgradeOptions = {
  command: given<readonly string[]>(
    'an array of strings: the program and its arguments',
    (value) => Array.isArray(value) && value.length > 0 && value.every((part) => typeof part === 'string'),
  ),
  timeout: { ...span(), default: 60_000 },
  state: anything,
  connections: given<Readonly<Record<string, readonly Socket[]>>>(
    `an object of arrays of connections; their names are ${fdName.allowed}`,
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      Object.entries(value).every(([name, list]) => fdName.read(name, name) !== undefined && Array.isArray(list)),
  ),
} satisfies TableOf<UpgradeOptions>;

/** A manager that has not read for that long will not know the successor. Milliseconds. */
const announceTime = 30_000;

interface Passed {
  readonly fd: number;
  readonly name: string;
}

/** What was passed to us and is still open, in the order and under the names it came, then what we bound ourselves. */
function socketsToPass(): Passed[] {
  const passed: Passed[] = [];
  for (const inherited of listenFds()) {
    // A connection that was passed is its taker's business.
    if (inherited.connected || !isOpenOn(inherited.fd, inherited.description)) continue;
    passed.push({ fd: inherited.fd, name: inherited.name });
  }
  for (const own of ownSockets()) {
    const fd = own.fd();
    if (fd !== null && fd >= 0) passed.push({ fd, name: own.name });
  }
  return passed;
}

const env = startEnvironment();

/** The folder we were started in, as it was named then: a symbolic link in it may point to a newer release by now. */
const startFolder = ((): { named: string; real: string } => {
  const real = started.folder;
  const named = env['PWD'];
  try {
    if (named !== undefined && paths.isAbsolute(named) && fs.realpathSync(named) === real) return { named, real };
  } catch {
    // PWD is stale
  }
  return { named: real, real };
})();

/** What an upgrade loads, so that it is this version's when the files have become another's. */
export async function readAll(): Promise<void> {
  bindingIfAny();
  await Promise.all([import('../programs/spawn.js'), import('../sockets/room.js')]);
}

/** The command line we were started with; the script by the name it had, through symbolic links as they are now. */
function ownCommand(): string[] {
  const [, script = '', ...args] = started.argv;
  const { named, real } = startFolder;
  const inFolder = script === real || script.startsWith(`${real}/`);
  const name = inFolder ? named + script.slice(real.length) : script;
  return [process.execPath, ...started.execArgv, ...(script === '' ? [] : [name]), ...args];
}

/** Stops reading from connections that are to be handed over, so that nothing arrives here that belongs there. */
function holdConnections(connections: NonNullable<UpgradeOptions['connections']>): (HeldConnection & Passed)[] {
  return Object.entries(connections).flatMap(([name, sockets]) =>
    sockets.flatMap((socket) => {
      const held = holdConnection(socket);
      return held ? { ...held, name } : [];
    }),
  );
}

/** What the successor says through NOTIFY_SOCKET. */
interface Progress {
  /** Resolves with the main process's pid when it is ready. */
  readonly ready: Promise<number | null>;
  onExtend: ((milliseconds: number) => void) | null;
  close(): void;
}

/**
 * What the successor wants the manager to keep, to forget or to acknowledge goes there through us, as long as it does not
 * know the manager itself.
 */
function relay(message: string, fds: readonly number[]): void {
  try {
    if (/^(FDSTORE|FDSTOREREMOVE|BARRIER)=1$/m.test(message)) notify(message, { fds });
  } catch (error) {
    const what = `What the successor tells the service manager is lost: ${(error as Error).message}`;
    process.emitWarning(what, 'ListenFdsWarning');
  } finally {
    for (const fd of fds) fs.closeSync(fd);
  }
}

async function openProgress(): Promise<Progress & { address: string }> {
  const { openNotifySocket } = await import('../sockets/room.js');
  const path = abstractName('listenfds/notify/');
  const us = process.geteuid!();
  let resolve!: (pid: number | null) => void;
  const progress = {
    address: `@${path.slice(1)}`,
    ready: new Promise<number | null>((done) => (resolve = done)),
    onExtend: null as Progress['onExtend'],
    close: openNotifySocket({
      path,
      receiveFds: true,
      accepts: ({ uid }) => uid === 0 || uid === us,
      heard(text, fds) {
        relay(text, fds);
        const fields = parseNotifyMessage(text);
        const extend = Number(fields.get('EXTEND_TIMEOUT_USEC'));
        if (extend > 0) progress.onExtend?.(extend / 1000);
        if (fields.get('READY') === '1') resolve(Number(fields.get('MAINPID')) || null);
      },
    }),
  };
  return progress;
}

function failed(why: string, cause?: unknown): ListenFdsError {
  return new ListenFdsError('LISTENFDS_UPGRADE_FAILED', why, cause === undefined ? {} : { cause });
}

/** Waits for READY=1; fails when the program ends before, or time is up. */
async function untilReady(
  program: Program,
  progress: Progress,
  timeout: number,
  signal?: AbortSignal,
): Promise<number> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const over = (): void => reject(failed(`The successor (pid ${program.pid}) was not ready in time`));
    timer = setTimeout(over, timeout);
    progress.onExtend = (milliseconds) => {
      clearTimeout(timer);
      timer = setTimeout(over, milliseconds);
    };
  });
  const ended = program.exited.then(({ code, signal }) => {
    const how = signal === null ? `with status ${code}` : `by ${signal}`;
    throw failed(`The successor (pid ${program.pid}) ended ${how} before it was ready`);
  });
  const aborted = new Promise<never>((_, reject) => {
    const abort = (): void => reject(failed('The service is stopping'));
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
  });
  for (const losing of [ended, aborted]) losing.catch(() => {});
  try {
    return (await Promise.race([progress.ready, ended, late, aborted])) ?? program.pid;
  } finally {
    clearTimeout(timer);
  }
}

/** Tells the manager who the service is now, in one message: it must not see the new process before it knows it. */
async function announceSuccessor(pid: number, timeout: number): Promise<void> {
  const inode = binding().pidfdInode(pid);
  const told = await announce(
    {
      mainPid: pid,
      ...(typeof inode === 'bigint' ? { mainPidfdId: inode } : {}),
      ready: true,
      watchdog: true,
      status: `Upgraded to pid ${pid}`,
    },
    {},
    timeout,
  );
  // The manager reads it before it hears of our exit.
  if (told) await notifyBarrier({ timeout: 5_000 }).catch(() => {});
}

/**
 * Starts a successor and waits until it serves. When this resolves, the manager knows it and the caller has to drain and
 * leave; when it rejects, nothing has changed.
 */
export async function upgrade(options: UpgradeOptions, signal?: AbortSignal): Promise<UpgradeResult> {
  const started = performance.now();
  const { timeout, command = ownCommand(), state = null, connections = {} } = readOptions(upgradeOptions, options);
  if (signal?.aborted) throw failed('The service is stopping');
  const { startReleasable } = await import('../programs/spawn.js');
  const briefing = new Briefing({
    notifySocket: process.env['NOTIFY_SOCKET'] ?? null,
    watchdogUsec: process.env['WATCHDOG_USEC'] ?? null,
    state,
  });
  await briefing.open();
  const progress = await openProgress();
  const held = holdConnections(connections);
  let program: Program | undefined;
  let released = false;
  try {
    const sockets = [...socketsToPass(), ...held];
    program = await startReleasable(command, {
      fds: sockets.map(({ fd }) => fd),
      names: sockets.map(({ name }) => name),
      env: { ...env, [upgradeVariable]: briefing.name.slice(1) },
      notifySocket: progress.address,
      cwd: startFolder.named,
      ownGroup: true,
    });
    const pid = await untilReady(program, progress, timeout, signal);
    // systemd kills a main process at once that is not its child, where it waits for others to end: it has to be one before
    // it is called so.
    await program.release();
    released = true;
    await announceSuccessor(pid, announceTime);
    await briefing.go();
    program.unref();
    for (const own of ownSockets()) own.handOver();
    for (const connection of held) connection.leave();
    return { pid, durationMs: performance.now() - started };
  } catch (error) {
    if (program && !program.exit) program.kill('SIGKILL', true);
    if (!released) await program?.exited;
    for (const connection of held) connection.resume();
    if (error instanceof ListenFdsError) throw error;
    throw failed(`The successor could not be started: ${(error as Error).message}`, error);
  } finally {
    briefing.close();
    progress.close();
  }
}
