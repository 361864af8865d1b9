// Faults in the system calls of a program that waits for a word on a FIFO: strace(1) is attached while it waits, and lets one
// of the calls fail that it makes then.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { activate, type Activated, type Activation } from './activate.ts';
import { temporaryFolder } from './folder.ts';
import { unless } from './tools.ts';

type Test = Parameters<typeof activate>[0];

/** For `{ skip }`. */
export const withoutFaults = unless(
  spawnSync('strace', ['-o', '/dev/null', '-e', 'inject=close:error=EINTR:when=500', 'true']).status === 0,
  'needs strace, and the right to trace',
);

export const errnos = {
  EPERM: 1,
  EINTR: 4,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  ENFILE: 23,
  EMFILE: 24,
  ENOBUFS: 105,
} as const;
export type Errno = keyof typeof errnos;

/** One system call. */
export interface Call {
  /** `getsockopt SO_TYPE` */
  readonly words: string;
  /** `getsockopt` */
  readonly name: string;
  /** How many of that name this thread has made since strace was attached, this one included. */
  readonly nth: number;
}

export interface Fault extends Call {
  readonly errno: Errno;
}

const which: Readonly<Record<string, RegExp>> = {
  getsockopt: /\b(?:SO|TCP|IPV6)_\w+/,
  setsockopt: /\b(?:SO|TCP|IPV6)_\w+/,
  fcntl: /\bF_\w+/,
  socket: /\bAF_\w+/,
};

/** Between the word that it got and the end of `until`, with -f of every thread and child. */
function callsIn(log: string, until: string): Call[] {
  const counts = new Map<string, number>();
  const calls: Call[] = [];
  let begun = false;
  for (const line of log.split('\n')) {
    const [, tid = '', text = ''] = /^(?:(\d+) +)?(.*)$/.exec(line)!;
    const name = /^(\w+)\(/.exec(text)?.[1];
    if (name === undefined) continue;
    const nth = (counts.get(`${tid} ${name}`) ?? 0) + 1;
    counts.set(`${tid} ${name}`, nth);
    if (text.includes(until)) break;
    const word = which[name]?.exec(text)?.[0];
    if (begun) calls.push({ name, nth, words: word === undefined ? name : `${name} ${word}` });
    begun ||= /^read\(\d+, "go/.test(text);
  }
  return calls;
}

/** A program that waits; its first argument is the FIFO it waits on. */
export class Faulty {
  readonly program: Activated;
  readonly #commands: number;
  readonly #log: string;

  constructor(t: Test, command: readonly string[], activation: Activation = {}) {
    const folder = temporaryFolder(t);
    const fifo = join(folder, 'commands');
    this.#log = join(folder, 'strace');
    if (spawnSync('mkfifo', [fifo]).status !== 0) throw new Error('mkfifo');
    this.#commands = openSync(fifo, 'r+');
    t.teardown(() => closeSync(this.#commands));
    this.program = activate(t, [...command, fifo], activation);
  }

  say(line: string): void {
    writeSync(this.#commands, `${line}\n`);
  }

  /** Traced, says go, and waits for an answer; the program waits for another word afterwards, or ends. */
  async #traced<T>(options: readonly string[]): Promise<T> {
    const strace = spawn('strace', [...options, '-o', this.#log, '-p', String(this.program.pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = once(strace, 'exit');
    strace.stderr.setEncoding('utf8');
    let said = '';
    for await (const text of strace.stderr.iterator({ destroyOnReturn: false })) {
      said += text as string;
      if (said.includes(' attached')) break;
    }
    if (!said.includes(' attached')) throw new Error(`strace: ${said}`);
    strace.stderr.resume();
    // A call that hangs is an error, and told as one.
    const limit = setTimeout(() => void this.program.kill(), 20_000);
    try {
      this.say('are you there');
      await this.program.json();
      this.say('go');
      return await this.program.json<T>();
    } finally {
      clearTimeout(limit);
      strace.kill('SIGINT');
      await ended;
    }
  }

  async trace<T>(follow: boolean, until = '"/traced/to"'): Promise<{ answer: T; calls: Call[] }> {
    rmSync(this.#log, { force: true });
    const answer = await this.#traced<T>(follow ? ['-f'] : []);
    return { answer, calls: callsIn(readFileSync(this.#log, 'utf8'), until) };
  }

  /** `injected`: whether that call was made at all. */
  async inject<T>({ name, nth, errno }: Fault, follow: boolean): Promise<{ answer: T; injected: boolean }> {
    const inject = ['-e', `trace=${name}`, '-e', `inject=${name}:error=${errno}:when=${nth}`];
    rmSync(this.#log, { force: true });
    const answer = await this.#traced<T>([...(follow ? ['-f'] : []), ...inject]);
    return { answer, injected: readFileSync(this.#log, 'utf8').includes('(INJECTED)') };
  }
}
