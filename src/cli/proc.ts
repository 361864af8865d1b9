// What /proc tells about a process, proc(5). Null and empty mean: gone, or not for us to see.
import { fs } from '../system/builtins.js';

function read(path: string): string | null {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function link(path: string): string | null {
  try {
    return fs.readlinkSync(path);
  } catch {
    return null;
  }
}

function numbersIn(path: string): number[] {
  try {
    return fs
      .readdirSync(path)
      .map(Number)
      .filter((number) => Number.isInteger(number))
      .sort((a, b) => a - b);
  } catch {
    return [];
  }
}

/** The environment it was started with: later changes do not show. Null if that is not for us to see. */
export function environmentOf(pid: number): NodeJS.ProcessEnv | null {
  const text = read(`/proc/${pid}/environ`);
  return text === null ? null : environmentIn(text);
}

/** The text of /proc/PID/environ. */
export function environmentIn(text: string): NodeJS.ProcessEnv {
  const entries = text.split('\0').filter((entry) => entry.includes('='));
  return Object.fromEntries(entries.map((entry) => [entry.replace(/=.*$/s, ''), entry.slice(entry.indexOf('=') + 1)]));
}

export function commandOf(pid: number): string[] {
  const words = commandIn(read(`/proc/${pid}/cmdline`) ?? '');
  return words.length > 0 ? words : [`[${nameOf(pid) ?? '?'}]`];
}

/** The text of /proc/PID/cmdline: each word ends with a NUL. */
export const commandIn = (text: string): string[] => text.split('\0').slice(0, -1);

export const exists = (pid: number): boolean => fs.existsSync(`/proc/${pid}`);
export const nameOf = (pid: number): string | null => read(`/proc/${pid}/comm`)?.trim() ?? null;
export const programOf = (pid: number): string | null => link(`/proc/${pid}/exe`);
export const descriptorsOf = (pid: number): number[] => numbersIn(`/proc/${pid}/fd`);

/** `socket:[123]`, `anon_inode:[eventpoll]` or a path. */
export const linkOf = (pid: number, fd: number): string | null => link(`/proc/${pid}/fd/${fd}`);

interface Status {
  readonly state: string;
  readonly parent: number;
  readonly group: number;
}

function statusOf(pid: number): Status | null {
  const text = read(`/proc/${pid}/stat`);
  return text ? statusIn(text) : null;
}

/** The text of /proc/PID/stat, proc_pid_stat(5): the name, in brackets, may have brackets and spaces in it. */
export function statusIn(text: string): Status {
  const [state = '', parent, group] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state, parent: Number(parent), group: Number(group) };
}

/** Its numbers, from the namespace of whoever looks to its own: a container's process is 1 there. */
export function pidsOf(pid: number): number[] {
  return pidsIn(read(`/proc/${pid}/status`) ?? '', pid);
}

/** The text of /proc/PID/status. */
export function pidsIn(text: string, pid: number): number[] {
  const found = /^NSpid:((?:\s+\d+)+)$/m.exec(text)?.[1];
  return found === undefined ? [pid] : found.trim().split(/\s+/).map(Number);
}

/** The number by which it knows itself: LISTEN_PID is that one. */
export const ownPidOf = (pid: number): number => pidsOf(pid).at(-1)!;

export const parentOf = (pid: number): number => statusOf(pid)?.parent ?? 0;

/** Parent, its parent, … */
export function ancestorsOf(pid: number): number[] {
  const all: number[] = [];
  for (let next = parentOf(pid); next > 0 && !all.includes(next); next = parentOf(next)) all.push(next);
  return all;
}

const closeOnExec = 0o2000000; // O_CLOEXEC, as fdinfo writes it on every architecture

export const groupOf = (pid: number): number | null => statusOf(pid)?.group ?? null;

/**
 * Every process that runs and comes of one, its children's children included.
 *
 * @param without these, and what comes of them
 */
export function descendantsOf(pid: number, without: ReadonlySet<number> = new Set()): number[] {
  const childrenOf = new Map<number, number[]>();
  for (const one of numbersIn('/proc')) {
    const status = statusOf(one);
    if (!status || status.state === 'Z' || status.state === 'X' || without.has(one)) continue;
    const siblings = childrenOf.get(status.parent);
    if (siblings) siblings.push(one);
    else childrenOf.set(status.parent, [one]);
  }
  const found: number[] = [];
  for (let next: number[] = [pid]; next.length > 0;) {
    next = next.flatMap((one) => childrenOf.get(one) ?? []);
    found.push(...next);
  }
  return found;
}

export function isCloseOnExec(pid: number, fd: number): boolean {
  return closesOnExec(read(`/proc/${pid}/fdinfo/${fd}`) ?? '');
}

/** The text of /proc/PID/fdinfo/FD. */
export function closesOnExec(text: string): boolean {
  const flags = /^flags:\s*([0-7]+)/m.exec(text)?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) !== 0;
}

/** Inode numbers of everything its event loops wait for; null if it has no event loop that shows. */
export function awaitedInodes(pid: number): Set<number> | null {
  const loops = descriptorsOf(pid).filter((fd) => linkOf(pid, fd) === 'anon_inode:[eventpoll]');
  if (loops.length === 0) return null;
  return new Set(loops.flatMap((fd) => awaitedIn(read(`/proc/${pid}/fdinfo/${fd}`) ?? '')));
}

/** The text of /proc/PID/fdinfo/FD of an epoll descriptor. */
export const awaitedIn = (text: string): number[] =>
  [...text.matchAll(/^tfd:.*\bino:([0-9a-f]+)/gm)].map(([, inode]) => Number.parseInt(inode!, 16));

/** The unit whose control group it is in, or null. */
export function unitOf(pid: number): string | null {
  return unitIn(read(`/proc/${pid}/cgroup`) ?? '');
}

/** The text of /proc/PID/cgroup. */
export function unitIn(text: string): string | null {
  const path = /^0::(.*)$/m.exec(text)?.[1] ?? '';
  return path.split('/').findLast((part) => part.endsWith('.service')) ?? null;
}

export interface Holder {
  readonly pid: number;
  readonly name: string;
  readonly fds: number[];
}

/** Which processes have these sockets, by inode. Those of other people show to root only. */
export function holdersOf(inodes: ReadonlySet<number>): Map<number, Holder[]> {
  const holders = new Map<number, Holder[]>();
  if (inodes.size === 0) return holders;
  for (const pid of numbersIn('/proc')) {
    for (const fd of descriptorsOf(pid)) {
      const inode = Number(/^socket:\[(\d+)\]$/.exec(linkOf(pid, fd) ?? '')?.[1] ?? Number.NaN);
      if (!inodes.has(inode)) continue;
      const known = holders.get(inode) ?? [];
      holders.set(inode, known);
      const own = known.find((holder) => holder.pid === pid);
      if (own) own.fds.push(fd);
      else known.push({ pid, name: nameOf(pid) ?? '?', fds: [fd] });
    }
  }
  return holders;
}

/** net.core.somaxconn, which no backlog exceeds; null if /proc does not tell. */
export function mostBacklog(): number | null {
  const text = read('/proc/sys/net/core/somaxconn');
  return text === null ? null : Number(text);
}
