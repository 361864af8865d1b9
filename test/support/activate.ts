// Starting a program as a service manager does: in a clean environment, with given descriptors from number 3 on. The test
// process cannot be that environment: tap sits on fd 3 and puts itself into every Node child that inherits its variables.
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { python } from './tools.ts';

const openScript = fileURLToPath(new URL('./open.py', import.meta.url));

/** The folder of this package: programs that import 'listenfds' run here. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The parts of the package that nobody outside sees, for programs that tests start. */
export const insides = fileURLToPath(new URL('../../dist/insides.js', import.meta.url));

/** What is passed at a number: a descriptor of the test, an expression of open.py such as `tcp("::1", 0)`, or a gap. */
export type Passed = number | string | null;

export interface Activation {
  /** Passed as 3, 4, … */
  readonly fds?: readonly Passed[];
  /** LISTEN_FDNAMES; without it the variable is absent. */
  readonly names?: readonly string[] | string;
  /** LISTEN_FDS. Default: how many `fds` there are; null, or no `fds`, leaves out LISTEN_PID too. */
  readonly count?: number | string | null;
  /** LISTEN_PID. Default: the program's own. */
  readonly pid?: number | string;
  /** Nothing else but PATH is set, and what somebody who measures every program needs. */
  readonly env?: Readonly<Record<string, string>>;
  /** Descriptor 0, written as in `fds`, or a pipe from the test. Default: /dev/null. */
  readonly stdin?: Passed | 'pipe';
  /** A command in front of the program, which inherits LISTEN_PID as its own: `['timeout', '20']`. */
  readonly through?: readonly string[];
  /** @default the folder of this package */
  readonly cwd?: string;
}

/** How a program ended. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The part of a tap test that is needed here. */
export interface Test {
  teardown(action: () => unknown): unknown;
}

/** A program that runs; it dies with the test. */
export class Activated {
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
  #stdout = '';
  #stderr = '';
  #read = 0;

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.ended = once(child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }));
  }

  /** The program's own pid, unless it was started `through` something that forks. */
  get pid(): number {
    return this.child.pid!;
  }

  /** What it has written to its standard error so far. */
  get stderr(): string {
    return this.#stderr;
  }

  /** The next line of its standard output. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#stdout.indexOf('\n', this.#read);
      if (end >= 0) {
        const line = this.#stdout.slice(this.#read, end);
        this.#read = end + 1;
        return line;
      }
      const more = once(this.child.stdout!, 'data');
      more.catch(() => {});
      const over = await Promise.race([more.then(() => false), this.ended.then(() => true)]);
      if (over && !this.#stdout.includes('\n', this.#read)) {
        throw new Error(`the program ended without another line:\n${this.#stdout}${this.#stderr}`);
      }
    }
  }

  /** The next line of its standard output, read as JSON. */
  async json<T = any>(): Promise<T> {
    return JSON.parse(await this.line()) as T;
  }

  /** Sends a signal to the program and everything it started, and waits for its end. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Outcome> {
    try {
      process.kill(-this.pid, signal);
    } catch {
      // It is gone already.
    }
    return this.ended;
  }
}

// What the sanitizers of test/sanitize need in every program.
const sanitizing = ['LD_PRELOAD', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS'];

/** While coverage is measured: the variables of scripts/coverage/hook.js, without what tap puts into its children. */
export function counting(): Record<string, string> {
  const folder = process.env['COVERAGE_FOLDER'];
  const hook = new URL('../../scripts/coverage/hook.js', import.meta.url).href;
  return folder ? { COVERAGE_FOLDER: folder, NODE_OPTIONS: `--import=${hook}` } : {};
}

function variables(activation: Activation): string[] {
  const { fds = [], names, env = {} } = activation;
  const count = activation.count === undefined ? fds.length || null : activation.count;
  const all: Record<string, string> = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
  for (const name of sanitizing) {
    const value = process.env[name];
    if (value !== undefined) all[name] = value;
  }
  Object.assign(all, counting());
  if (count !== null) all['LISTEN_FDS'] = String(count);
  if (names !== undefined) all['LISTEN_FDNAMES'] = typeof names === 'string' ? names : names.join(':');
  if (activation.pid !== undefined) all['LISTEN_PID'] = String(activation.pid);
  return Object.entries({ ...all, ...env }).map(([name, value]) => `${name}=${value}`);
}

/**
 * Starts a command, by default under its own LISTEN_PID.
 *
 * @example
 * const program = activate(t, [process.execPath, 'server.js'], { fds: ['tcp()'], names: ['web'] });
 * const { port } = await program.json();
 */
export function activate(t: Test, command: readonly string[], activation: Activation = {}): Activated {
  const { fds = [], stdin = null, through = [] } = activation;
  const opened: Record<number, string> = {};
  const stdio = [stdin, 'pipe', 'pipe', ...fds].map((passed, number) => {
    if (number < 3 && passed === 'pipe') return passed;
    if (typeof passed === 'number') return passed;
    if (passed !== null) opened[number] = passed;
    return 'ignore'; // /dev/null as number 0; any other is left closed
  });
  const announces = activation.count === undefined ? fds.length > 0 : activation.count !== null;
  const ownPid = announces && activation.pid === undefined ? 'LISTEN_PID=$$ ' : '';
  // Only a shell knows the pid that exec keeps.
  const shell = `${ownPid}exec "$@"`;
  // Python comes before the environment is cleared: it may be a wrapper that needs its own, and leaves traces in it.
  const opener = Object.keys(opened).length > 0 ? [python, openScript, JSON.stringify(opened)] : [];
  const [file, ...args] = [
    ...opener,
    'env',
    '-i',
    ...variables(activation),
    'sh',
    '-c',
    shell,
    'sh',
    ...through,
    ...command,
  ];
  // The opener is none of what is measured.
  const { LD_PRELOAD: _, ...env } = process.env;
  const child = spawn(file!, args, { stdio: stdio as StdioOptions, cwd: activation.cwd ?? root, detached: true, env });
  const program = new Activated(child);
  t.teardown(() => program.kill());
  return program;
}

/** Starts the text of an ES module; `import … from 'listenfds'` works in it. */
export function activateModule(t: Test, source: string, activation: Activation = {}): Activated {
  return activate(t, [process.execPath, '--input-type=module', '--eval', source], activation);
}

/** The JSON that a module prints as its only line, once it has ended; fails with its stderr if it printed nothing. */
export async function resultOf<T = any>(t: Test, source: string, activation: Activation = {}): Promise<T> {
  const program = activateModule(t, source, activation);
  const { stdout, stderr, code, signal } = await program.ended;
  if (stdout.trim() === '') throw new Error(`no result, exit ${code ?? signal}:\n${stderr}`);
  return JSON.parse(stdout) as T;
}
