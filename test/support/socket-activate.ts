// systemd-socket-activate(1): the quick way to start a program on its first connection. It needs no privileges and no
// manager, and knows nothing of units.
import { once } from 'node:events';
import { activate, counting, type Activated } from './activate.ts';

export interface SocketActivation {
  /** As in ListenStream=. */
  readonly addresses: readonly string[];
  /** @default 'unknown' for each, as there */
  readonly names?: readonly string[];
  /** For the program; it gets next to nothing else. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Listens, and becomes `command` when the first connection comes. Resolves when it listens on every address. */
export async function socketActivate(
  t: Parameters<typeof activate>[0],
  command: readonly string[],
  { addresses, names, env = {} }: SocketActivation,
): Promise<Activated> {
  const program = activate(t, [
    'systemd-socket-activate',
    ...addresses.map((address) => `--listen=${address}`),
    ...(names ? [`--fdname=${names.join(':')}`] : []),
    ...Object.entries({ ...counting(), ...env }).map(([name, value]) => `--setenv=${name}=${value}`),
    ...command,
  ]);
  const listening = () => program.stderr.split('\n').filter((line) => line.startsWith('Listening on ')).length;
  while (listening() < addresses.length) {
    const ended = await Promise.race([once(program.child.stderr!, 'data').then(() => null), program.ended]);
    if (ended) throw new Error(`systemd-socket-activate ended with ${ended.code}: ${ended.stderr}`);
  }
  return program;
}
