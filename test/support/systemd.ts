// A real systemd for one test, booted by test/systemd/lab beside the caller's processes and gone with the test.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { counting } from './activate.ts';
import { unless } from './tools.ts';

const checkout = realpathSync(fileURLToPath(new URL('../..', import.meta.url)));
const modules = join(checkout, 'node_modules'); // it may be a link to elsewhere
const script = join(checkout, 'test/systemd/lab');

let reason: string | undefined;

/**
 * For `{ skip: withoutSystemd() }`: why no systemd can be booted here, or false. In CI nothing is skipped: there the test
 * runs and fails.
 */
export function withoutSystemd(): string | false {
  if (reason === undefined) {
    const { status, stderr, error } = spawnSync(script, ['--check'], { encoding: 'utf8' });
    reason = status === 0 ? '' : `no systemd can be booted: ${error?.message ?? stderr.trim()}`;
  }
  return unless(reason === '', reason);
}

/** For `{ skip: olderThan(257) }`: the reason when the systemd that is booted has not what the test is about. */
export function olderThan(version: number): string | false {
  const root = process.env['LAB_ROOT'];
  const command = [...(root ? ['chroot', root] : []), 'systemctl', '--version'];
  const [, found] =
    /^systemd (\d+)/.exec(spawnSync(command[0]!, command.slice(1), { encoding: 'utf8' }).stdout ?? '') ?? [];
  return Number(found) >= version ? false : `needs systemd ${version}, not ${found}`;
}

/** Words as a value of ExecStart=. */
export function commandLine(...words: readonly string[]): string {
  return words
    .map((word) => `"${word.replace(/["\\]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`)
    .join(' ');
}

/** Where a program of test/fixtures is. */
export function fixture(name: string): string {
  return join(checkout, 'test/fixtures', name);
}

/** The value of ExecStart= that runs a program of test/fixtures with the Node that runs the test. */
export function execStart(program: string, ...args: readonly string[]): string {
  return commandLine(process.execPath, fixture(program), ...args);
}

export interface LabOptions {
  /**
   * Unit files by name. `DefaultDependencies=no` is set for all; services write into the log of the lab unless they say
   * otherwise.
   */
  readonly units: Readonly<Record<string, string>>;
  /**
   * The units that are started at boot.
   * @default every socket unit, except templates
   */
  readonly start?: readonly string[];
  /**
   * A folder with another systemd in it, as debootstrap makes it.
   * @default the environment variable LAB_ROOT, else this machine's own
   */
  readonly root?: string;
  /** Further paths that must be the same in there: those below /tmp, /run, /var/tmp and /dev, or with `root` any. */
  readonly bind?: readonly string[];
}

/** How a command in the lab ended. */
export interface CommandOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A systemd that runs. */
export class Lab {
  /** The manager's, as seen from the test. */
  readonly pid: number;
  readonly #log: Log;

  constructor(pid: number, log: Log) {
    this.pid = pid;
    this.#log = log;
  }

  /** Everything that systemd and the services have written so far. */
  log(): string {
    return this.#log.text;
  }

  /** Waits until the log matches. `after` skips what was there at that length of it. */
  logged(pattern: RegExp, after = 0): Promise<RegExpExecArray> {
    return this.#log.match(pattern, after);
  }

  /** Runs systemctl, waits for the job, and returns what it printed; throws when it fails. */
  async systemctl(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run('systemctl', ...args);
    if (code !== 0) throw new Error(`systemctl ${args.join(' ')} failed with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  /** A property of a unit, such as `MainPID` or `ActiveState`. */
  async property(unit: string, name: string): Promise<string> {
    return (await this.systemctl('show', '--property', name, '--value', unit)).trim();
  }

  /** Runs a command in the namespaces of the manager, as one of the services would see the machine. */
  async run(...command: readonly string[]): Promise<CommandOutcome> {
    const child = spawn('nsenter', ['-t', String(this.pid), '-a', '--', ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...counting() },
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdout, stderr };
  }

  /** Where the test finds a path of the lab, for example a unix socket below /run. */
  path(inside: string): string {
    return `/proc/${this.pid}/root${inside}`;
  }
}

class Log extends EventEmitter {
  text = '';
  #ended = false;

  constructor({ stdout, stderr }: ChildProcess) {
    super();
    this.setMaxListeners(0);
    for (const stream of [stdout!, stderr!]) {
      stream.setEncoding('utf8').on('data', (more: string) => {
        this.text += more;
        this.emit('more');
      });
    }
    stdout!.once('close', () => {
      this.#ended = true;
      this.emit('more');
    });
  }

  async match(pattern: RegExp, after: number): Promise<RegExpExecArray> {
    for (;;) {
      const found = new RegExp(pattern.source, pattern.flags.replace('g', '')).exec(this.text.slice(after));
      if (found) return found;
      if (this.#ended) throw new Error(`the lab ended without ${pattern}:\n${this.text}`);
      await once(this, 'more');
    }
  }
}

function start(options: LabOptions, folder: string): ChildProcess {
  const variables = Object.entries(counting()).map(([name, value]) => `Environment="${name}=${value}"\n`);
  for (const [name, text] of Object.entries(options.units)) {
    const counted =
      name.endsWith('.service') && variables.length > 0 ? `[Service]\n${variables.join('')}${text}` : text;
    writeFileSync(join(folder, name), counted);
  }
  const root = options.root ?? process.env['LAB_ROOT'];
  const counts = process.env['COVERAGE_FOLDER'];
  const own = [checkout, modules, process.execPath, ...(counts ? [counts] : [])];
  const bind = [...own, ...(options.bind ?? [])].map((path) => realpathSync(path));
  return spawn(script, [folder], {
    stdio: 'pipe',
    env: {
      PATH: process.env['PATH'],
      LAB_BIND: bind.join(delimiter),
      ...(root ? { LAB_ROOT: realpathSync(root) } : {}),
      ...(options.start ? { LAB_START: options.start.join(' ') } : {}),
    },
  });
}

/** Boots a systemd with these units, and takes it and all its services down when `body` is done. */
export async function withSystemd<T>(options: LabOptions, body: (lab: Lab) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'lab-'));
  const keeper = start(options, folder);
  const log = new Log(keeper);
  const closed = once(keeper, 'close');
  try {
    await log.match(/^lab: up$/m, 0);
    const [, pid] = await log.match(/^lab: pid (\d+)$/m, 0);
    return await body(new Lab(Number(pid), log));
  } catch (error) {
    if (error instanceof Error) error.message += `\n--- the log of the lab:\n${log.text}`;
    throw error;
  } finally {
    keeper.stdin!.end(); // it takes that as its end, and the end of this process as well
    await closed;
    rmSync(folder, { recursive: true, force: true });
  }
}
