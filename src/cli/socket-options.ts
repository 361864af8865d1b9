// -l, --datagram, --seqpacket, --fifo: which sockets to open, and what to call them. `run` and `unit` share them.
import { ListenFdsError } from '../system/errors.js';
import { type Address, parseAddress } from '../text/address.js';
import { longestTimeout, parseSpan, spanText } from '../text/duration.js';
import { type CommandLine, UsageError } from './command-line.js';

/** The Listen*= directive that opens the same. */
export type Directive = 'ListenStream' | 'ListenDatagram' | 'ListenSequentialPacket' | 'ListenFIFO';

export interface SocketWish {
  readonly directive: Directive;
  readonly address: Address;
  /** As it was written, without the name. */
  readonly text: string;
  /** FileDescriptorName=; null where none was given. */
  readonly name: string | null;
}

const directives: Record<string, Directive> = {
  listen: 'ListenStream',
  datagram: 'ListenDatagram',
  seqpacket: 'ListenSequentialPacket',
  fifo: 'ListenFIFO',
};

/** What can stand in LISTEN_FDNAMES and in a unit's file name alike. */
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
