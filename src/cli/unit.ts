// listenfds unit: which units are wanted, and where they go.
import { findExecutable } from '../programs/executable.js';
import { fs, path } from '../system/builtins.js';
import { asNamed } from '../system/started.js';
import { launcherOf } from '../text/launchers.js';
import { hasControls, visible } from '../text/visible.js';
import { CommandError, type CommandLine, UsageError } from './command-line.js';
import { ownFile, withPreload } from './own-files.js';
import { maySayReady } from './ready.js';
import { checkName, duration, pathOptions, socketWishes } from './socket-options.js';
import { styleFor, write } from './terminal.js';
import { type UnitPlan, unitFiles } from './unit-files.js';

function defaultName(directory: string): string {
  const name = path.basename(directory).replace(/[^A-Za-z0-9_.-]+/g, '-');
  return name.replace(/^[-.]+|[-.]+$/g, '') || 'web';
}

/** As it was written, once it is known to be one. @throws UsageError */
function timeSpan(line: CommandLine, option: string): string | null {
  if (duration(line, option) === null) return null;
  const text = line.value(option)!;
  oneLine(`--${option}`, text);
  return text;
}

/** systemd wants the program's path from the root; a symbolic link stays, it may point to a newer one tomorrow. */
function resolveCommand(command: readonly string[], image: string | null, directory: string): string[] {
  const [program, ...args] = command;
  if (program === undefined) throw new UsageError('no command was given', 'listenfds unit -l 3000 -- node app.js');
  if (image !== null) return [...command]; // the image has its own paths
  const found = findExecutable(program, process.env, directory);
  if (found.error)
    throw new CommandError(`${program}: ${found.error === 'ENOENT' ? 'not found' : 'cannot be executed'}`);
  return [found.path, ...args];
}

const homes = /^\/(home|root|run\/user)(\/|$)/;

function shellWord(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * The rest of a line in a unit file, which has no quotes and no escapes there: systemd ends a line at any of CR, LF and NUL,
 * goes on behind a backslash at its end, and drops blanks around it.
 *
 * @throws UsageError
 */
function oneLine(what: string, text: string): void {
  if (!hasControls(text) && !text.endsWith('\\') && text === text.trim()) return;
  throw new UsageError(
    `${what} ${JSON.stringify(text)} cannot be written into a unit file`,
    'it must have no line breaks or other control characters, no blanks around it and no backslash at its end',
  );
}

/** @throws UsageError */
function oneWord(option: string, text: string): void {
  oneLine(option, text);
  if (text === '' || /\s/.test(text)) throw new UsageError(`${option} ${JSON.stringify(text)} must be one word`);
}

/** @throws UsageError */
function typeOf(line: CommandLine): UnitPlan['type'] | null {
  const type = line.value('type');
  if (type === null || type === 'notify' || type === 'notify-reload' || type === 'exec') return type;
  throw new UsageError(`--type ${type}: not known`, 'one of notify, notify-reload, exec');
}

/** @throws UsageError */
function planFrom(line: CommandLine): UnitPlan {
  const image = line.value('quadlet');
  if (image !== null) oneWord('--quadlet', image);
  const template = line.flag('template');
  const user = line.flag('user');
  if (image !== null && template) throw new UsageError('--template and --quadlet do not go together');
  const compileCache = line.flag('compile-cache');
  if (image !== null && compileCache) {
    throw new UsageError('--compile-cache and --quadlet do not go together: the cache would go with the container');
  }
  const sockets = socketWishes(line);
  if (sockets.length === 0) throw new UsageError('no socket was asked for', 'say where to listen: -l 3000');
  for (const { address, text } of sockets) {
    oneLine('an address', text);
    if (address.kind === 'inet' && address.port === 0) throw new UsageError(`${text}: systemd needs a port`);
  }
  const runAs = line.value('run-as');
  if (runAs !== null) oneWord('--run-as', runAs);
  if (runAs !== null && user) throw new UsageError('--run-as and --user do not go together: yours runs as you');
  const directory = asNamed(process.cwd(), process.env);
  oneLine('the working directory', directory);
  const given = resolveCommand(line.operands, image, directory);
  for (const option of ['upgrade', 'preload']) {
    if (line.flag(option) && image !== null) throw new UsageError(`--${option} and --quadlet do not go together`);
  }
  const preload = line.flag('preload') ? ownFile('register.cjs', directory) : null;
  const { command, nodeOptions } =
    preload === null ? { command: given, nodeOptions: null } : withPreload(given, preload);
  const upgrade = line.flag('upgrade') ? [process.execPath, ownFile('cli.js', directory), 'upgrade'] : null;
  const { mode, group } = pathOptions(line, ['mode', 'group'], sockets);
  if (group !== null) oneWord('--group', group);
  return {
    name: checkName(line.value('name') ?? defaultName(directory), '--name'),
    command,
    directory,
    isLinked: directory !== process.cwd(),
    sockets,
    nodeOptions,
    upgrade,
    type: typeOf(line) ?? (preload !== null || maySayReady(command, directory, image !== null) ? 'notify' : 'exec'),
    user,
    template,
    image,
    runAs,
    mode,
    group,
    privateNetwork: line.flag('private-network'),
    inHome: [directory, ...command, preload ?? '', realPath(directory), realPath(command[0]!)].some((one) =>
      homes.test(one),
    ),
    idleTimeout: timeSpan(line, 'idle-timeout'),
    watchdog: timeSpan(line, 'watchdog'),
    compileCache,
    origin: `Written by: listenfds ${process.argv.slice(2).map(shellWord).map(visible).join(' ')}`,
  };
}

function realPath(file: string): string {
  try {
    return fs.realpathSync(file);
  } catch {
    return file; // in an image, not here
  }
}

function warn(message: string): void {
  write(2, `${styleFor(2).yellow('note:')} ${visible(message)}\n`);
}

/** The places systemd.unit(5) and podman-systemd.unit(5) give to the administrator. */
function installedAt(file: string, user: boolean): string {
  const what = file.endsWith('.container') ? 'containers/systemd' : user ? 'systemd/user' : 'systemd/system';
  if (!user) return path.join('/etc', what, file);
  const config = process.env['XDG_CONFIG_HOME'] || path.join(process.getBuiltinModule('node:os').homedir(), '.config');
  return path.join(config, what, file);
}

function existing(file: string): string | null {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** All or none: looks at every file before it writes one. */
function place(files: ReadonlyMap<string, string>, force: boolean): void {
  const differing = [...files].filter(([file, text]) => ![null, text].includes(existing(file))).map(([file]) => file);
  if (differing.length > 0 && !force) {
    throw new CommandError(`not overwritten: ${differing.join(', ')}`, 'look at it; --force replaces it');
  }
  for (const [file, text] of files) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    // Whole or not at all: systemd may read it at this moment.
    const { randomBytes } = process.getBuiltinModule('node:crypto');
    const temporary = `${file}.${randomBytes(9).toString('hex')}.tmp`;
    // Exclusively: others may write to the folder, and a link of theirs is not written through.
    fs.writeFileSync(temporary, text, { mode: 0o644, flag: 'wx' });
    try {
      fs.renameSync(temporary, file);
    } catch (error) {
      fs.unlinkSync(temporary);
      throw error;
    }
    write(1, `${visible(file)}\n`);
  }
}

function systemctl(user: boolean, ...args: string[]): void {
  const all = [...(user ? ['--user'] : []), ...args];
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const { status, error } = spawnSync('systemctl', all, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error || status !== 0) {
    const why = error ? `${error.message}` : `exit status ${status}`;
    throw new CommandError(
      `the files are in place, but systemctl ${all.join(' ')} failed: ${why}`,
      'run it where systemd runs',
    );
  }
}

function noteProblems(plan: UnitPlan, typeGiven: string | null): void {
  if (plan.type === 'exec' && typeGiven === null) {
    warn(
      'Type=exec: listenfds is not found beside the program, so nothing is known to say READY=1; --type notify if it does',
    );
  }
  const launcher = launcherOf(plan.command);
  if (launcher) {
    warn(`${launcher.name} stays between systemd and the program, which does not get the sockets: ${launcher.instead}`);
  }
  const open = plan.sockets.filter(({ text }) => text.startsWith('/')).map(({ text }) => text);
  if (open.length > 0 && plan.mode === null && !plan.user) {
    warn(
      `every user of this machine may connect to ${open.join(' and ')} (SocketMode=0666), past a proxy in front of it: --mode 0660 and --group say who may`,
    );
  }
  if (plan.inHome && !plan.user && plan.image === null) {
    warn(
      `${plan.directory} or the program is in a home directory, which ${plan.runAs ?? 'a dynamic user'} may not be able to enter: move it under /srv or /opt, or say --run-as`,
    );
  }
}

export function unit(line: CommandLine): number {
  const plan = planFrom(line);
  const force = line.flag('force');
  const output = line.value('output');
  const install = line.flag('install');
  if (install && output !== null) throw new UsageError('--install and --output do not go together');
  const files = unitFiles(plan);
  noteProblems(plan, line.value('type'));
  if (install) {
    place(new Map([...files].map(([file, text]) => [installedAt(file, plan.user), text])), force);
    systemctl(plan.user, 'daemon-reload');
    systemctl(plan.user, 'enable', '--now', ...[...files.keys()].filter((file) => file.endsWith('.socket')));
  } else if (output !== null) {
    place(new Map([...files].map(([file, text]) => [path.join(output, file), text])), force);
  } else {
    const { bold } = styleFor(1);
    write(1, [...files].map(([file, text]) => `${bold(`# ${file}`)}\n${text}`).join('\n'));
  }
  return 0;
}
