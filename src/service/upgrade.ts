// Upgrade: start the program anew with all our sockets, and leave when it is ready. Until then, and if it never gets
// there, nothing changes for anyone.
import type { Socket } from 'node:net';
import { announce } from '../manager/announce.js';
import { notifyBarrier } from '../manager/barrier.js';
import { ownSockets } from '../open/own.js';
import { findExecutable } from '../programs/executable.js';
import type { Program } from '../programs/spawn.js';
import { carrierName } from '../receive/carriers.js';
import { describeFacts, isOpenOn } from '../receive/descriptor.js';
import type { Origin } from '../receive/origin.js';
import { inodeKey, originsVariable, tellOrigins } from '../receive/told-origins.js';
import { binding, bindingIfAny } from '../system/addon.js';
import { fs, path as paths } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { asNamed, startEnvironment, started } from '../system/started.js';
import { listenFds } from '../take/listen-fds.js';
import { fdName } from '../text/notify-state.js';
import { type TableOf, type Values, anything, boolean, given, readOptions, span } from '../text/options.js';
import { type Carrier, openPair } from './carrier.js';
import { type HeldConnection, holdConnection } from './store-connections.js';
import { Allowance, type Progress, dismiss, failed, inTime, openProgress, untilReady } from './progress.js';
import { Briefing, upgradeVariable } from './successor.js';
import { turns } from './turns.js';

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
   * sockets with nothing in their buffers: data that is read but not handled, or written but not sent, cannot move.
   */
  connections?: Readonly<Record<string, readonly Socket[]>>;
  /**
   * Where the successor is started. A link in it is followed at each upgrade, so that it finds a new release.
   * @default the folder this program was started in, under the name that PWD has for it
   */
  cwd?: string;
  /**
   * Upgrade although nobody would follow: if systemd cannot be told of the new process, in process 1 of a container, under
   * supervisord, runit, s6, circus or pm2 the service would end with this process.
   * @default false
   */
  force?: boolean;
}

/** Options that are found out when an upgrade begins, within its timeout. */
export interface Preparation {
  prepare?: (() => UpgradeOptions | Promise<UpgradeOptions>) | undefined;
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
  cwd: given<string>('an absolute path', (value) => typeof value === 'string' && paths.isAbsolute(value)),
  force: boolean,
  state: anything,
  connections: given<Readonly<Record<string, readonly Socket[]>>>(
    `an object of arrays of connections; their names are ${fdName.allowed}`,
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      Object.entries(value).every(([name, list]) => fdName.read(name, name) !== undefined && Array.isArray(list)),
  ),
} satisfies TableOf<UpgradeOptions>;

/** A manager that has not read for that long will not know the successor, and whoever asked waits for an answer. Milliseconds. */
const announceTime = 15_000;

interface Passed {
  readonly fd: number;
  readonly name: string;
  /** What it is for the successor. */
  readonly origin: Origin;
  readonly asked: string;
}

/** The descriptors that were passed to us and are still open, in their order and under their names, then those that we bound ourselves. */
function socketsToPass(): Passed[] {
  const passed: Passed[] = [];
  const own = [...ownSockets()].flatMap(({ name, origin, asked, fd }) => ({ name, origin, asked, fd: fd() ?? -1 }));
  const numbers = own.map(({ fd }) => fd);
  for (const { fd, name, origin, connected, description } of listenFds()) {
    // A connection that was passed is its taker's business.
    if (connected || numbers.includes(fd) || !isOpenOn(fd, description)) continue;
    passed.push({ fd, name, origin, asked: '' });
  }
  return [...passed, ...own.filter(({ fd }) => fd >= 0)];
}

function keyOf(fd: number | null): string {
  const facts = fd === null ? fd : binding().facts(fd);
  return facts === null || typeof facts === 'number' ? '' : inodeKey(describeFacts(facts).inode);
}

function originsOf(sockets: readonly Passed[]): string {
  return tellOrigins(new Map(sockets.map(({ fd, origin, asked }) => [keyOf(fd), { origin, asked }])));
}

const env = startEnvironment();

/** The folder we were started in, as it was named then: a symbolic link in it may point to a newer release by now. */
const startFolder = { named: asNamed(started.folder, env), real: started.folder };

/** Node.js under the name it was started by, if that leads to it: a link may point to a newer one by now. */
const nodeAsNamed = ((): string => {
  const { path } = findExecutable(process.argv0, env, startFolder.named);
  if (path === null) return process.execPath;
  try {
    return fs.realpathSync(path) === fs.realpathSync(process.execPath) ? path : process.execPath;
  } catch {
    return process.execPath;
  }
})();

/**
 * Loads all that an upgrade needs while the files are still those of this version. And the threads of libuv, which
 * aborts the process if it needs them and cannot make them.
 */
export async function readAll(): Promise<void> {
  bindingIfAny();
  fs.stat('/', () => {});
  await Promise.all([import('../programs/spawn.js'), import('../sockets/room.js')]);
}

/** The command line we were started with; the script by the name it had, through symbolic links as they are now. */
function ownCommand(named: string): string[] {
  const [, script = '', ...args] = started.argv;
  const { real } = startFolder;
  const inFolder = script === real || script.startsWith(`${real}/`);
  const name = inFolder ? named + script.slice(real.length) : script;
  return [nodeAsNamed, ...started.execArgv, ...(script === '' ? [] : [name]), ...args];
}

/** A connection that goes to the successor. */
type Held = HeldConnection & Passed;

/** Stops reading from connections that are to be handed over, so that nothing arrives here that belongs there. */
function holdConnections(connections: NonNullable<UpgradeOptions['connections']>, held: Held[]): void {
  for (const [name, sockets] of Object.entries(connections)) {
    for (const socket of sockets) {
      const one = holdConnection(socket);
      if (one) held.push({ ...one, name, origin: 'predecessor', asked: '' });
    }
  }
}

/** Tells the manager who the service is now, in one message: it must not see the new process before it knows it. */
async function announceSuccessor(pid: number, lost: AbortSignal): Promise<void> {
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
    announceTime,
    lost,
  );
  // The manager reads it before it hears of our exit.
  if (told) await notifyBarrier({ timeout: 5_000 }).catch(() => {});
}

/** A signal may be caught by another thread, which a busy machine runs later. Milliseconds. */
const signalTime = 20;

/** What an upgrade has opened, and what has to be undone if it fails. */
interface Attempt {
  readonly briefing: Briefing;
  readonly held: Held[];
  /** By this pair idle HTTP connections go to the successor, once it serves. */
  readonly pair: ReturnType<typeof openPair>;
  progress: Progress | null;
  program: Program | null;
  /** The manager may take the successor for the service. */
  announced: boolean;
}

async function succeed(
  attempt: Attempt,
  options: Values<typeof upgradeOptions>,
  allowance: Allowance,
  stopping: AbortSignal | undefined,
): Promise<number> {
  const { briefing, held, pair } = attempt;
  const { birthOf, startReleasable } = await import('../programs/spawn.js');
  await briefing.open();
  const progress = (attempt.progress = await openProgress(allowance));
  holdConnections(options.connections ?? {}, held);
  const carriers: Passed[] = pair ? [{ fd: pair.far, name: carrierName, origin: 'predecessor', asked: '' }] : [];
  const sockets = [...socketsToPass(), ...held, ...carriers];
  const cwd = options.cwd ?? startFolder.named;
  if (!fs.existsSync(cwd)) {
    const link = 'upgrade: { cwd } says which link leads to the new one, or PWD in the environment of the service';
    throw failed(`The working directory ${cwd} does not exist any more: ${link}`);
  }
  const starting = startReleasable(options.command ?? ownCommand(cwd), {
    fds: sockets.map(({ fd }) => fd),
    names: sockets.map(({ name }) => name),
    env: { ...env, [upgradeVariable]: briefing.path, [originsVariable]: originsOf(sockets) },
    notifySocket: progress.address,
    cwd,
    ownGroup: true,
  });
  const program = (attempt.program = await inTime(starting, allowance));
  const pid = await untilReady(program, progress, allowance);
  const birth = birthOf(pid);
  const look = (by: AbortSignal = allowance.signal): void => {
    if (by.aborted) allowance.signal.throwIfAborted();
    // program.exit is of the process in between: the successor is being ended for it.
    if (program.exit || birthOf(pid) !== birth) throw failed(`The successor (pid ${pid}) ended before it took over`);
  };
  // systemd kills a main process at once that is not its child, if it waits for others to end: it has to be one before
  // it is called so.
  await allowance.within(`The successor (pid ${pid}) was not let go`, program.release());
  allowance.end();
  look();
  await announceSuccessor(pid, allowance.signal);
  attempt.announced = true;
  // A manager that has stopped the service before it read that takes no other main process, and kills the successor once
  // this one has ended. Its signal is here by now.
  await new Promise((resolve) => setTimeout(resolve, signalTime));
  await turns();
  // A successor that is stopped as the main process waits for this one, which has to go.
  look(stopping);
  const kept = await briefing.go();
  if (!kept) look(stopping);
  program.unref();
  for (const own of ownSockets()) if (!kept || kept.includes(keyOf(own.fd()))) own.handOver();
  for (const connection of held) connection.leave();
  return pid;
}

async function undo({ program, announced, held, pair }: Attempt): Promise<void> {
  pair?.carrier.close();
  if (announced) announce({ mainPid: process.pid }, {}, announceTime).catch(() => {});
  if (program) await dismiss(program);
  for (const connection of held) connection.resume();
}

/**
 * Starts a successor and waits until it serves. When this resolves, the manager knows it and the caller has to drain and
 * leave; when it rejects, nothing has changed.
 *
 * @param configured defaults for the options of this call
 * @param carried gets the carrier of connections to the successor, until this process ends
 */
export async function upgrade(
  options: UpgradeOptions,
  { prepare, ...configured }: UpgradeOptions & Preparation = {},
  signal?: AbortSignal,
  carried: (carrier: Carrier) => void = () => {},
): Promise<UpgradeResult> {
  const started = performance.now();
  let allowance = new Allowance(readOptions(upgradeOptions, { ...configured, ...options }).timeout, signal);
  let attempt: Attempt | null = null;
  try {
    const prepared = await allowance.within('prepare() did not settle', prepare?.());
    const all = readOptions(upgradeOptions, { ...configured, ...prepared, ...options });
    allowance.end();
    allowance = new Allowance(all.timeout, signal);
    const briefing = new Briefing({
      notifySocket: process.env['NOTIFY_SOCKET'] ?? null,
      watchdogUsec: process.env['WATCHDOG_USEC'] ?? null,
      state: all.state ?? null,
    });
    attempt = { briefing, held: [], pair: openPair(), progress: null, program: null, announced: false };
    const pid = await succeed(attempt, all, allowance, signal);
    if (attempt.pair) carried(attempt.pair.carrier);
    return { pid, durationMs: performance.now() - started };
  } catch (error) {
    if (attempt) await undo(attempt);
    if (error instanceof ListenFdsError || !attempt) throw error;
    throw failed(`The successor could not be started: ${(error as Error).message}`, error);
  } finally {
    allowance.end();
    attempt?.briefing.close();
    attempt?.progress?.close();
    if (attempt?.pair) binding().closeFd(attempt.pair.far);
  }
}
