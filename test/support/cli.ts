// The command `listenfds`, run as a person does.
import { once } from 'node:events';
import { join } from 'node:path';
import { temporaryFolder } from './folder.ts';
import { activate, root, type Activated, type Activation, type Outcome } from './activate.ts';
import { python } from './tools.ts';

interface Test {
  teardown(action: () => unknown): unknown;
}

export const command = join(root, 'dist/cli.js');

/** Starts it; standard input is /dev/null. */
export function startCli(t: Test, args: readonly string[], activation: Activation = {}): Activated {
  return activate(t, [process.execPath, command, ...args], activation);
}

/** Runs it to its end. */
export function cli(t: Test, args: readonly string[], activation: Activation = {}): Promise<Outcome> {
  return startCli(t, args, activation).ended;
}

/** `listenfds run` with its lines, which it writes to standard error. */
export class Run {
  readonly program: Activated;
  #read = 0;

  constructor(t: Test, args: readonly string[], activation: Activation = {}) {
    // Where it keeps its NOTIFY_SOCKET: the end of a test leaves it no time to clean up.
    const env = { XDG_RUNTIME_DIR: temporaryFolder(t), ...activation.env };
    this.program = startCli(t, ['run', ...args], { ...activation, env });
  }

  /** Waits for a line that matches, after the last one that did. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.program.stderr.slice(this.#read));
      if (found) {
        this.#read += found.index + found[0].length;
        return found;
      }
      const more = once(this.program.child.stderr!, 'data');
      more.catch(() => {});
      const over = await Promise.race([more.then(() => false), this.program.ended.then(() => true)]);
      if (over && !pattern.test(this.program.stderr.slice(this.#read))) {
        throw new Error(`it ended without ${pattern}:\n${this.program.stderr}`);
      }
    }
  }

  /** The port of the first socket. */
  async port(): Promise<number> {
    return Number((await this.says(/(?:listening|accepting) on \S*:(\d+)/))[1]);
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.program.pid, signal);
  }
}

/** Ctrl-C, for onTerminal(). */
export const interrupt = '\x03';

/** Runs it on a terminal: what that shows, line by line, when `keys` are typed once `pattern` has been shown. */
export async function onTerminal(t: Test, pattern: string, keys: string, ...args: string[]): Promise<string[]> {
  const script = join(root, 'test/support/terminal.py');
  const env = { XDG_RUNTIME_DIR: temporaryFolder(t) };
  const { stdout } = await activate(t, [python, script, pattern, keys, process.execPath, command, ...args], { env })
    .ended;
  return stdout.split(/\r?\n/).filter((line) => line !== '');
}

// crun wants control groups of version 2 and nothing else.
const onlyVersion2 = 'umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec "$@"';

/** A command in front of one that starts podman. */
export const inCgroup2 = ['unshare', '--mount', 'sh', '-c', onlyVersion2, 'sh'];
