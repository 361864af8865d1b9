// The processes that come of a service, as /proc shows them, and who is who among them.
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import type { Role } from './steps.ts';

export interface Member {
  readonly pid: number;
  readonly parent: number;
  /** In clock ticks since boot: a pid can be used again. */
  readonly started: number;
  readonly isZombie: boolean;
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // it is gone
  }
}

function statOf(pid: number): Member | null {
  const text = read(pid, 'stat');
  if (text === '') return null;
  const words = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { pid, parent: Number(words[1]), started: Number(words[19]), isZombie: words[0] === 'Z' };
}

/** Its number where it runs: the last of NSpid is that of the innermost namespace. */
export const ownNumber = (pid: number): number => Number(/^NSpid:.*\s(\d+)$/m.exec(read(pid, 'status'))?.[1] ?? pid);

/** What it has open, by kind. */
export function openKinds(pid: number): Map<string, number> {
  const kinds = new Map<string, number>();
  let names: string[] = [];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    // it is gone
  }
  for (const name of names) {
    try {
      const kind = readlinkSync(`/proc/${pid}/fd/${name}`).replace(/:\[\d+\]$/, '');
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    } catch {
      // the folder's own
    }
  }
  return kinds;
}

/** Whether a signal is caught: else it ends the process, as it ends one that has only begun to start. */
export function catches(pid: number, signal: NodeJS.Signals): boolean {
  const [, mask = '0'] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(read(pid, 'status')) ?? [];
  return ((BigInt(`0x${mask}`) >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n;
}

/** Whether that very process lives. */
export function lives({ pid, started }: Member): boolean {
  const now = statOf(pid);
  return now !== null && now.started === started && !now.isZombie;
}

export class Family {
  readonly #mark: string;
  readonly #program: string;
  readonly #manager: number;

  /** @param mark an assignment that the environment of all of them has */
  constructor(mark: string, program: string, manager: number) {
    this.#mark = mark;
    this.#program = program;
    this.#manager = manager;
  }

  /** Who runs now, the oldest first; also who stands between a service and its successor, where it shows. */
  members(): Member[] {
    const isOurs = (pid: number): boolean => {
      if (pid === this.#manager || !read(pid, 'environ').split('\0').includes(this.#mark)) return false;
      return read(pid, 'cmdline').split('\0').includes(this.#program);
    };
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter(isOurs)
      .flatMap((pid) => statOf(pid) ?? [])
      .filter(({ isZombie }) => !isZombie)
      .sort((a, b) => a.started - b.started || a.pid - b.pid);
  }

  find(role: Role): Member | null {
    const all = this.members();
    const pids = new Set(all.map(({ pid }) => pid));
    // A successor's parent is the one in between, whose parent is the service.
    const between = new Map<Member, Member>();
    for (const one of all) {
      const parent = statOf(one.parent);
      if (parent && one.parent !== this.#manager && pids.has(parent.parent)) between.set(one, parent);
    }
    const inBetween = new Set([...between.values()].map(({ pid }) => pid));
    const services = all.filter((one) => !inBetween.has(one.pid) && !between.has(one));
    switch (role) {
      case 'main':
        return services.at(-1) ?? null;
      case 'predecessor':
        return services.at(-2) ?? null;
      case 'successor':
        return [...between.keys()].at(-1) ?? null;
      case 'between':
        return [...between.values()].at(-1) ?? null;
    }
  }
}
