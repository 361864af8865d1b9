// listenfds run: opens the sockets, listens to signals, and lets a manager (one command for all connections) or a
// dispatcher (--accept, one for each) do the rest.
import { findExecutable } from '../programs/executable.js';
import { privatePlace } from '../open/private-place.js';
import type { Exit } from '../programs/spawn.js';
import { fs, path } from '../system/builtins.js';
import { launcherOf } from '../text/launchers.js';
import { visible } from '../text/visible.js';
import { isUsOrRoot } from '../system/users.js';
import { CommandError, type CommandLine, UsageError } from './command-line.js';
import { Dispatcher } from './dispatcher.js';
import { Manager } from './manager.js';
import { type OpenSocket, openWish } from './open.js';
import { checkName, duration, pathOptions, socketWishes } from './socket-options.js';
import { styleFor, write } from './terminal.js';
import { Watch } from './watch.js';

const isTerminal = (fd: number): boolean => process.getBuiltinModule('node:tty').isatty(fd);

/** The orders that both of them take. */
interface Runner {
  begin(): void;
  stop(signal: NodeJS.Signals, sentAlready: boolean): void;
  hangup(): void;
  pass(signal: NodeJS.Signals): void;
}

function check(line: CommandLine): void {
  const wishes = socketWishes(line);
  if (line.operands.length === 0) throw new UsageError('no command was given', 'listenfds run -l 3000 -- node app.js');
  if (wishes.length === 0) throw new UsageError('no socket was asked for', 'say where to listen: -l 3000');
  if (line.flag('accept')) {
    const other = ['now', 'once', 'watch', 'idle-timeout'].find((option) => line.flag(option));
    if (other)
      throw new UsageError(
        `--accept and --${other} do not go together`,
        'with --accept each connection has a command of its own',
      );
    const deaf = wishes.find(({ directive }) => directive === 'ListenDatagram' || directive === 'ListenFIFO');
    if (deaf) throw new UsageError(`${deaf.text}: --accept needs connections`);
  }
}

function backlogOf(line: CommandLine): number {
  const text = line.value('backlog') ?? '4096';
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new UsageError(`--backlog ${text} is not a number of connections`);
  return Number(text);
}

/** All of them or none. */
function openAll(line: CommandLine): OpenSocket[] {
  const name = line.value('name');
  const all = name === null ? 'unknown' : checkName(name, '--name');
  const backlog = backlogOf(line);
  const wishes = socketWishes(line);
  const paths = pathOptions(line, ['mode', 'user', 'group'], wishes);
  const open: OpenSocket[] = [];
  try {
    for (const wish of wishes) open.push(openWish(wish, wish.name ?? all, backlog, paths));
    return open;
  } catch (error) {
    for (const socket of open) socket.remove();
    throw error;
  }
}

/** As a shell would say it, before anything is opened. */
function checkCommand([program = '']: readonly string[]): void {
  const { error } = findExecutable(program);
  if (error === 'ENOENT') throw new CommandError(`${program}: not found`, null, 127);
  if (error === 'EACCES') throw new CommandError(`${program}: cannot be executed`, null, 126);
}

interface NotifySocket {
  readonly address: string;
  remove(): void;
}

/**
 * Where READY=1 and the rest come in. A path, since container runtimes pass nothing on to an abstract name. A command of
 * root's may have changed its user: for it the path is open to all, and `accepts` decides by the sender's pid.
 */
async function openNotifyPath(
  deliver: (text: string, fds: readonly number[]) => void,
  accepts: (pid: number) => boolean,
): Promise<NotifySocket> {
  const room = await import('../sockets/room.js');
  const us = process.geteuid!();
  const parent = us === 0 ? process.env['XDG_RUNTIME_DIR'] || process.getBuiltinModule('node:os').tmpdir() : null;
  const folder = fs.mkdtempSync(path.join(parent ?? privatePlace(), 'listenfds-run-'));
  if (us === 0) fs.chmodSync(folder, 0o755);
  const address = path.join(folder, 'notify');
  // It also keeps us alive while a successor runs, which is not a child of ours.
  room.openNotifySocket({
    path: address,
    mode: 0o666,
    accepts: ({ uid, pid }) => isUsOrRoot(uid, pid) || (us === 0 && accepts(pid)),
    receiveFds: true,
    heard: deliver,
  });
  return { address, remove: () => fs.rmSync(folder, { recursive: true, force: true }) };
}

/** Ends this process as the command ended: with its status, or by the same signal. */
function endLike(exit: Exit | null): void {
  const { code = 0, signal = null } = exit ?? {};
  if (signal === null) process.exit(code ?? 0);
  process.removeAllListeners(signal);
  try {
    process.kill(process.pid, signal);
  } catch {
    // a signal that Node has no name for
  }
  // As PID 1, the kernel does not let a signal do that.
  const number = process.getBuiltinModule('node:os').constants.signals[signal] ?? 0;
  setTimeout(() => process.exit(128 + number), 100);
}

/** @param tell has the runner do it, as soon as there is one */
function catchSignals(tell: (action: (runner: Runner) => void) => void): void {
  const terminal = [0, 1, 2].find(isTerminal);
  const hasTerminal = (): boolean => terminal !== undefined && isTerminal(terminal);
  let [stopping, interrupted] = [false, false];
  const stop = (): void => {
    stopping = true;
    tell((runner) => runner.stop('SIGTERM', false));
  };
  process.on('SIGTERM', stop);
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    process.on(signal, () => {
      interrupted = true;
      // The terminal sends these to its whole foreground group, the command included.
      tell((runner) => runner.stop(signal, hasTerminal()));
    });
  }
  process.on('SIGHUP', () => {
    // Of a terminal that is closed it comes from the kernel and from the shell. The command has it, too, and may take it for an
    // order to load anew. A second stop would wait for nobody.
    if (terminal === undefined || hasTerminal()) tell((runner) => runner.hangup());
    else if (!stopping) stop();
  });
  endWithLauncher(() => stopping || interrupted || stop());
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => tell((runner) => runner.pass(signal)));
}

/** How often it is looked whether a launcher in front has ended. Milliseconds. */
const launcherInterval = 500;

/** The parent, and if that is a shell, its parent. */
function launchers(): string {
  try {
    const shell = /\(\w*sh\) \w (\d+)/.exec(fs.readFileSync(`/proc/${process.ppid}/stat`, 'latin1'));
    return `${process.ppid} ${shell?.[1]}`;
  } catch {
    return String(process.ppid);
  }
}

/**
 * npm, npx, pnpm and yarn start a shell, end that at SIGTERM, and it tells nobody; SIGKILL leaves the shell. A command that
 * outlives them would keep the port for ever. Elsewhere a parent may end, as the shell of nohup(1) does.
 */
function endWithLauncher(end: () => void): void {
  if (!process.env['npm_config_user_agent']) return;
  const before = launchers();
  const timer = setInterval(() => {
    if (launchers() === before) return;
    clearInterval(timer);
    end();
  }, launcherInterval).unref();
}

function environmentFor(line: CommandLine): NodeJS.ProcessEnv {
  const idle = line.value('idle-timeout');
  if (duration(line, 'idle-timeout') === null) return process.env;
  return { ...process.env, LISTENFDS_IDLE_TIMEOUT: idle! };
}

/** Never returns by itself: the process ends as the command does. */
export async function run(line: CommandLine): Promise<number> {
  check(line);
  const stopTimeout = duration(line, 'stop-timeout') ?? 10_000;
  const env = environmentFor(line);
  const globs = line.all('watch').map(({ value }) => value);
  checkCommand(line.operands);
  const { adoptOrphans, start } = await import('../programs/spawn.js');
  const { dim } = styleFor(2);
  const quiet = line.flag('quiet');
  const say = (text: string): void => {
    if (!quiet) write(2, `${dim('listenfds:')} ${visible(text)}\n`);
  };
  const launcher = launcherOf(line.operands);
  if (launcher) {
    say(
      `${launcher.name} stays between listenfds and the program, which does not get the sockets: ${launcher.instead}`,
    );
  }
  let runner: Runner | null = null;
  const early: ((runner: Runner) => void)[] = [];
  // From here on there is something to clean up.
  const tell = (action: (runner: Runner) => void): void => (runner ? action(runner) : void early.push(action));
  catchSignals(tell);
  let manager: Manager | null = null;
  if (globs.length > 0) new Watch(globs, (file) => manager?.changed(path.relative(process.cwd(), file)));
  const sockets = openAll(line);
  const common = { command: line.operands, sockets, env, start, stopTimeout, say };
  if (line.flag('accept')) {
    const dispatcher = (runner = new Dispatcher({ ...common, finished: endLike }));
    adoptOrphans(() => dispatcher.orphanEnded());
  } else {
    const notify = await openNotifyPath(
      (text, fds) => manager!.notified(text, fds),
      (pid) => manager!.isMain(pid),
    ).catch((error: unknown) => {
      for (const socket of sockets) socket.remove();
      throw error;
    });
    const finished = (exit: Exit | null): void => {
      notify.remove();
      endLike(exit);
    };
    const once = line.flag('once');
    const now = once || line.flag('now');
    runner = manager = new Manager({ ...common, launcher, notifySocket: notify.address, now, once, finished });
    adoptOrphans((pid, exit) => manager!.orphanEnded(pid, exit));
  }
  runner.begin();
  for (const action of early) action(runner);
  return new Promise(() => {});
}
