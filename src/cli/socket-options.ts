// -l, --datagram, --seqpacket, --fifo: which sockets to open, and what to call them. `run` and `unit` share them.
import { ListenFdsError } from '../system/errors.js';
import { type Address, parseAddress } from '../text/address.js';
import { longestTimeout, parseSpan, spanText } from '../text/duration.js';
import { ownerOptions } from '../take/target.js';
import { type CommandLine, UsageError } from './command-line.js';

/** The Listen*= directive that opens the same. */
export type Directive = 'ListenStream' | 'ListenDatagram' | 'ListenSequentialPacket' | 'ListenFIFO';

export interface SocketWish {
  readonly directive: Directive;
  readonly address: Address;
  /** As it was written, without the name. */
  readonly text: string;
  /** FileDescriptorName=; null if none was given. */
  readonly name: string | null;
}

const directives: Record<string, Directive> = {
  listen: 'ListenStream',
  datagram: 'ListenDatagram',
  seqpacket: 'ListenSequentialPacket',
  fifo: 'ListenFIFO',
};

/** Names that LISTEN_FDNAMES and the file name of a unit can both have. */
const validName = /^[A-Za-z0-9_.-]{1,200}$/;

/** @throws UsageError */
export function checkName(name: string, option: string): string {
  if (validName.test(name)) return name;
  throw new UsageError(`${option} ${JSON.stringify(name)} is not a name`, 'use letters, digits, "_", "." and "-"');
}

/** @throws UsageError */
export function socketWishes(line: CommandLine): SocketWish[] {
  return line.all(...Object.keys(directives)).map(({ option, value }) => {
    const directive = directives[option]!;
    // No address has a "=" before its first "/" or "@", so a name can stand there.
    const named = /^([^/@=]*)=(.*)$/s.exec(value);
    const name = named ? checkName(named[1]!, `--${option}`) : null;
    const text = named ? named[2]! : value;
    let address: Address;
    try {
      address = parseAddress(text);
    } catch (error) {
      if (!(error instanceof ListenFdsError)) throw error;
      const relative = /^\.{0,2}[^:@]*\//.test(text) ? 'Write the path from the root. ' : '';
      throw new UsageError(`--${option}: ${relative}${error.message}`);
    }
    const pathOnly = directive === 'ListenSequentialPacket' || directive === 'ListenFIFO';
    if (pathOnly && address.kind !== 'unix') throw new UsageError(`--${option} ${text}: it takes a path`);
    if (directive === 'ListenFIFO' && text.startsWith('@')) throw new UsageError(`--fifo ${text}: a FIFO is a file`);
    return { directive, address, text, name };
  });
}

/**
 * A time span with a unit, in milliseconds.
 *
 * @throws UsageError
 */
export function duration(line: CommandLine, option: string): number | null {
  const value = line.value(option);
  if (value === null) return null;
  const found = parseSpan(value);
  if (found !== null && found > 0 && found <= longestTimeout) return found;
  throw new UsageError(`--${option} ${JSON.stringify(value)} is not ${spanText}`, 'the longest is 24 days');
}

/** Mode and owners of the paths that are bound; null if not given. */
export type PathOptions = Readonly<Record<'mode' | 'user' | 'group', string | null>>;

/**
 * --mode, --user and --group, checked as listen() checks them.
 *
 * @param names those that the command has
 * @param wishes one of them must be a path
 * @throws UsageError
 */
export function pathOptions(
  line: CommandLine,
  names: readonly (keyof PathOptions)[],
  wishes: readonly SocketWish[],
): PathOptions {
  const found: Record<keyof PathOptions, string | null> = { mode: null, user: null, group: null };
  for (const name of names) {
    const value = line.value(name);
    if (value === null) continue;
    const { read, allowed } = ownerOptions[name];
    if (read(value, name) === undefined) throw new UsageError(`--${name} ${JSON.stringify(value)} is not ${allowed}`);
    if (!wishes.some(({ text }) => text.startsWith('/'))) {
      throw new UsageError(`--${name} is for sockets with a path`, 'a path begins with a slash: -l /run/app.sock');
    }
    found[name] = value;
  }
  return found;
}
