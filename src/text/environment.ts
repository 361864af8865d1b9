// LISTEN_PID, LISTEN_PIDFDID, LISTEN_FDS and LISTEN_FDNAMES → how many descriptors there are and what they are called.
// Decides as sd_listen_fds_with_names(3) of systemd v262 does, down to which spellings of a number count, but for an empty
// variable: that is how shells, compose files and unit files take one away, so it counts as absent. Pure.
import { ListenFdsError } from '../system/errors.js';

/** The first descriptor a manager passes, SD_LISTEN_FDS_START. */
export const firstFd = 3;

/** The variables of the protocol. They are removed together or not at all. */
export const listenVariables = ['LISTEN_PID', 'LISTEN_PIDFDID', 'LISTEN_FDS', 'LISTEN_FDNAMES'] as const;

export type ListenVariables = Partial<Record<(typeof listenVariables)[number], string>>;

/** Whose LISTEN_PID counts. */
export type AcceptedPid = 'self' | 'parent' | 'any';

/** Who we are; a function if asking costs a system call that is rarely needed. */
export interface Identity {
  readonly pid: number;
  readonly ppid: number;
  /** The inode number of that process's pidfd, or null if the kernel has no pidfs. */
  pidfdInode(pid: number): bigint | null;
}

export interface Announcement {
  readonly count: number;
  readonly names: readonly string[];
  /** The variables were meant for this process, which is then not us: nothing was announced to us. */
  readonly meantFor?: number;
}

const maxInt = 2n ** 31n - 1n;
const maxUint64 = 2n ** 64n - 1n;

// strtoul(3) with base 0, behind systemd's own prefixes 0b and 0o: white space, then a sign, then digits.
const prefixes: readonly [RegExp, (digits: string) => bigint][] = [
  [/^0[bB][ \t-\r]*([+-]?)([01]+)$/, (digits) => BigInt(`0b${digits}`)],
  [/^0[oO][ \t-\r]*([+-]?)([0-7]+)$/, (digits) => BigInt(`0o${digits}`)],
  [/^[ \t-\r]*([+-]?)0[xX]([0-9a-fA-F]+)$/, (digits) => BigInt(`0x${digits}`)],
  [/^[ \t-\r]*([+-]?)(0[0-7]*)$/, (digits) => BigInt(`0o${digits}`)],
  [/^[ \t-\r]*([+-]?)([1-9][0-9]*)$/, (digits) => BigInt(digits)],
];

/** A whole number as the C library reads it, or null. */
export function parseInteger(text: string): bigint | null {
  // The way every manager writes it, without waking the regular expressions: they cost a third of a millisecond.
  const plain = Number.parseInt(text, 10);
  if (Number.isSafeInteger(plain) && String(plain) === text) return BigInt(plain);
  const value = text.replace(/^[ \t\n\r]+/, '');
  for (const [pattern, convert] of prefixes) {
    const match = pattern.exec(value);
    if (match) return match[1] === '-' ? -convert(match[2]!) : convert(match[2]!);
  }
  return null;
}

function malformed(variable: keyof ListenVariables, value: string, expected: string): ListenFdsError {
  return new ListenFdsError(
    'LISTENFDS_BAD_ENVIRONMENT',
    `${variable}=${JSON.stringify(value)} is not ${expected}; no descriptor was touched`,
    { variable },
  );
}

/** Splits LISTEN_FDNAMES at ':'; empty names count, and a backslash takes the next character as it is. */
function parseNames(value: string): string[] {
  if (!value.includes('\\')) return value.split(':');
  const names = [''];
  for (let i = 0; i < value.length; i++) {
    let character = value[i]!;
    if (character === ':') {
      names.push('');
      continue;
    }
    if (character === '\\') {
      i += 1;
      if (i === value.length) throw malformed('LISTEN_FDNAMES', value, 'a list of names: it ends in a backslash');
      character = value[i]!;
    }
    names[names.length - 1] += character;
  }
  return names;
}

const nothing: Announcement = { count: 0, names: [] };

/**
 * Reads the four variables and changes nothing.
 *
 * `accept: 'parent'` also takes descriptors that were meant for our parent (`sh -c`, `timeout`), `'any'` ignores LISTEN_PID and
 * LISTEN_PIDFDID; the C library knows only `'self'`.
 *
 * @throws ListenFdsError LISTENFDS_BAD_ENVIRONMENT, with the variable
 */
export function parseEnvironment(env: ListenVariables, accept: AcceptedPid, identity: Identity): Announcement {
  const names = env.LISTEN_FDNAMES === undefined ? null : parseNames(env.LISTEN_FDNAMES);

  if (accept !== 'any') {
    if (!env.LISTEN_PID) return nothing;
    const pid = parseInteger(env.LISTEN_PID);
    if (pid === null || pid < 1n || pid > maxInt) throw malformed('LISTEN_PID', env.LISTEN_PID, 'a process id');
    const meantFor = Number(pid);
    if (meantFor !== identity.pid && !(accept === 'parent' && meantFor === identity.ppid)) {
      return { ...nothing, meantFor };
    }
    if (env.LISTEN_PIDFDID) {
      const inode = parseInteger(env.LISTEN_PIDFDID);
      if (inode === null || inode < 0n || inode > maxUint64) {
        throw malformed('LISTEN_PIDFDID', env.LISTEN_PIDFDID, 'the inode number of a pidfd');
      }
      const actual = identity.pidfdInode(meantFor);
      if (actual !== null && actual !== inode) return { ...nothing, meantFor };
    }
  }

  if (!env.LISTEN_FDS) return nothing;
  const count = parseInteger(env.LISTEN_FDS);
  if (count === null || count < 1n || count > maxInt - BigInt(firstFd)) {
    throw malformed('LISTEN_FDS', env.LISTEN_FDS, 'a number of descriptors');
  }
  if (names !== null && BigInt(names.length) !== count) {
    throw malformed(
      'LISTEN_FDNAMES',
      env.LISTEN_FDNAMES!,
      `as many names as LISTEN_FDS announces: ${names.length} instead of ${count}`,
    );
  }
  return { count: Number(count), names: names ?? [] };
}
