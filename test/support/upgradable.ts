// A service that upgrades itself, and the family that comes of it.
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { activate, type Activated, type Passed, type Test } from './activate.ts';
import { command } from './cli.ts';
import { temporaryFolder } from './folder.ts';
import { get } from './http.js';

export interface Upgradable extends Activated {
  /** Where the behaviour stands; the variable that names it marks the whole family. */
  file: string;
  port: number;
  /** Where a second service of the process listens. */
  admin: number;
  /** What the next successors do; see fixtures/upgrade.js. */
  behave(behaviour: string): void;
}

export async function start(
  t: Test,
  {
    options = {},
    env = {},
    fds = [],
    names = [],
    program = 'upgrade.js',
    through = [],
  }: {
    options?: object;
    env?: Record<string, string>;
    fds?: readonly Passed[];
    names?: readonly string[];
    program?: string;
    /** A command that starts it. */
    through?: readonly string[];
  } = {},
): Promise<Upgradable> {
  const file = join(temporaryFolder(t), 'behaviour');
  const behave = (behaviour: string): void => writeFileSync(file, behaviour);
  behave('');
  const service = activate(t, [process.execPath, `test/fixtures/${program}`], {
    fds,
    through,
    ...(names.length > 0 ? { names } : {}),
    env: { BEHAVIOUR: file, SERVE_OPTIONS: JSON.stringify(options), ...env },
  });
  const { port, admin } = await listening(service);
  t.teardown(() => killSuccessors(file));
  return Object.assign(service, { file, port, admin, behave });
}

/** The whole family of a service has this variable. */
function family(file: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`BEHAVIOUR=${file}`);
      } catch {
        return false; // it has ended
      }
    });
}

function killSuccessors(file: string): void {
  for (const pid of family(file)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it has ended meanwhile
    }
  }
}

export const alive = (service: Upgradable): number[] => family(service.file);

/** Whether it is a program that was passed something. The process between two of them gives its memory back, and has no environment. */
function isPassed(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').includes('LISTEN_PID=');
  } catch {
    return false;
  }
}

/** Waits until the service has started its successor. */
export async function successorOf(service: Upgradable): Promise<void> {
  while (!alive(service).some((pid) => pid !== service.pid && isPassed(pid))) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export async function listening(service: Activated): Promise<{ pid: number; port: number; admin: number }> {
  for (;;) {
    const match = /^listening (\d+) (.*)$/.exec(await service.line());
    if (!match) continue;
    const { port, admin } = (JSON.parse(match[2]!) ?? {}) as { port: number; admin: number };
    return { pid: Number(match[1]), port, admin };
  }
}

export async function answer(port: number, path = '/'): Promise<string> {
  return (await get({ port, path })).trim();
}

/** The exit status; `ended` waits for the pipes as well, and those the successor has. */
export async function exitOf({ child }: Activated): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

/** `listenfds upgrade PID`. */
export const upgrade = (pid: number | string) =>
  execa(process.execPath, [command, 'upgrade', String(pid)], { reject: false });
