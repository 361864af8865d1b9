// What a caller asks for, in any of the spellings, as one checked form.
import type { ListenOptions } from 'node:net';
import type { AuthorizationRule } from '../admit/authorize.js';
import type { Limits } from '../admit/limits.js';
import { path as paths } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { type Address, type Place, parseAddress } from '../text/address.js';

/** What every kind of socket unit knows. */
export interface CommonTarget {
  /** What stands behind the directive in the .socket unit; for listen(), instead of `port`, `host` and `path`. */
  address?: string;
  /** FileDescriptorName= of the inherited descriptor to take. */
  name?: string;
  /**
   * Keep the socket in the manager's file descriptor store under this name, and find it there at the next start: a
   * restart then refuses no connection, without a socket unit. The service needs FileDescriptorStoreMax=.
   */
  store?: string;
  /**
   * Whether to take an inherited descriptor: `'auto'` if one was passed, `'required'` or fail, `'never'`.
   * @default the environment variable LISTENFDS, else 'auto'
   */
  activation?: 'auto' | 'required' | 'never';
  /**
   * What happens when the inherited socket is bound elsewhere than asked for.
   * @default 'warn'
   */
  mismatch?: 'warn' | 'error' | 'ignore';
  /** SocketMode=: access mode of a path we bind, a number or octal digits. Default: 0666 less the umask. */
  mode?: number | string;
  /** SocketUser=: owner of a path we bind, name or id. */
  user?: number | string;
  /** SocketGroup=: group of a path we bind, name or id. */
  group?: number | string;
  /**
   * RemoveOnStop=: unlink a path we bound when it is closed.
   * @default true; false for a FIFO and a message queue, as in systemd: others may have them open
   */
  removeOnStop?: boolean;
}

/** Where to listen, and how: Node's own ListenOptions and what a .socket unit knows. */
export interface ListenTarget extends ListenOptions, CommonTarget, Limits {
  /**
   * Serve the connection on fd 0 that StandardInput=socket with Accept=yes, or inetd, passes. Standard output that is
   * the same connection becomes standard error, or /dev/null: a console.log() must not end up with the client.
   * @default false
   */
  inetd?: boolean;
  /**
   * Backlog= of a socket we bind; an inherited one keeps the backlog it has. The kernel caps it at net.core.somaxconn.
   * @default 4096, as in systemd
   */
  backlog?: number;
  /** ReusePort= of a TCP socket we bind; needs Node 22.12. */
  reusePort?: boolean;
  /**
   * Who may connect, by the kernel's word on them: authorize() for the server, in force from the first connection on.
   * Nobody gets in over TCP then.
   */
  authorize?: AuthorizationRule;
}

/** A port, an address string, or options. */
export type Target = number | string | ListenTarget;

/** The checked form of a {@link Target}. */
export interface Wanted<P extends Place = Address> {
  /** Null: any. */
  readonly address: P | null;
  readonly name: string | null;
  readonly store: string | null;
  readonly activation: 'auto' | 'required' | 'never';
  readonly mismatch: 'warn' | 'error' | 'ignore';
  readonly mode: number | null;
  readonly user: number | string | null;
  readonly group: number | string | null;
  readonly removeOnStop: boolean | null;
  /** A connection on fd 0 is meant, too. */
  readonly inetd: boolean;
  /** maxConnections, maxConnectionsPerSource, allow, deny; null where none is given. */
  readonly limits: Limits | null;
  readonly authorize: AuthorizationRule | null;
  /** What is left for Node: backlog, ipv6Only, reusePort, exclusive, readableAll, writableAll, signal. */
  readonly node: ListenOptions;
}

const limitOptions = ['maxConnections', 'maxConnectionsPerSource', 'allow', 'deny'] as const satisfies (keyof Limits)[];

function bad(option: string, value: unknown, expected: string): ListenFdsError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return new ListenFdsError('LISTENFDS_BAD_OPTION', `${option} is ${shown}, but must be ${expected}`);
}

function oneOf<T extends string>(option: string, value: unknown, allowed: readonly T[]): T {
  if (!allowed.includes(value as T)) throw bad(option, value, allowed.map((one) => `'${one}'`).join(' or '));
  return value as T;
}

function portOf(value: unknown): number {
  const port = typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : value;
  if (!Number.isInteger(port) || (port as number) < 0 || (port as number) > 65535) {
    throw bad('port', value, 'a whole number from 0 to 65535');
  }
  return port as number;
}

/** How a verb reads an address, whether a port alone is one, and which options are its own. */
export interface Spelling<P extends Place> {
  parse(text: string): P;
  readonly ports: boolean;
  readonly options: Readonly<Record<string, true>>;
}

/** What is left of a verb's target for {@link Spelling.options}. */
export type OwnOptions<T> = Record<
  Exclude<keyof T, keyof CommonTarget | keyof Limits | 'port' | 'host' | 'path' | 'inetd' | 'authorize'>,
  true
>;

const streams: Spelling<Address> = {
  parse: parseAddress,
  ports: true,
  options: {
    backlog: true,
    ipv6Only: true,
    reusePort: true,
    exclusive: true,
    readableAll: true,
    writableAll: true,
    signal: true,
  } satisfies OwnOptions<ListenTarget>,
};

function pathAddress<P extends Place>(path: unknown, spelling: Spelling<P>): P | Address {
  if (typeof path !== 'string' || path === '') throw bad('path', path, 'a path');
  if (process.platform === 'win32') return { kind: 'unix', path }; // a named pipe
  return spelling.parse(path.startsWith('\0') ? `@${path.slice(1)}` : paths.resolve(path));
}

function addressOf<P extends Place>(options: ListenTarget, spelling: Spelling<P>): P | Address | null {
  const { address, path, port, host } = options;
  const given = [address, path, port].filter((value) => value !== undefined);
  if (given.length > 1)
    throw bad('the target', JSON.stringify({ address, path, port }), 'one of address, path and port');
  if (address !== undefined) {
    if (typeof address !== 'string') throw bad('address', address, 'an address string');
    if (host !== undefined) throw bad('host', host, 'absent where address is given');
    return spelling.parse(address);
  }
  if (path !== undefined) return pathAddress(path, spelling);
  if (port === undefined && host === undefined) return null;
  if (!spelling.ports) throw bad('the target', JSON.stringify({ host, port }), 'an address without a port');
  if (host !== undefined && typeof host !== 'string') throw bad('host', host, 'a host name or an IP address');
  return { kind: 'inet', host: host || null, port: port === undefined ? 0 : portOf(port) };
}

function modeOf(mode: unknown): number | null {
  if (mode === undefined) return null;
  const value = typeof mode === 'string' && /^[0-7]+$/.test(mode) ? Number.parseInt(mode, 8) : mode;
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > 0o777) {
    throw bad('mode', mode, 'an access mode such as 0o660 or "0660"');
  }
  return value as number;
}

function checkOwner(option: 'user' | 'group', value: unknown): number | string | null {
  if (value === undefined) return null;
  if (typeof value === 'string' && value !== '') return /^[0-9]+$/.test(value) ? Number(value) : value;
  if (Number.isInteger(value) && (value as number) >= 0) return value as number;
  throw bad(option, value, 'a name or a number');
}

function checkStore({ store, name, activation }: ListenTarget, listens: boolean): void {
  if (store === undefined) return;
  if (!listens) throw bad('store', store, 'absent: only listen() keeps its socket; others go through storeFds()');
  // Of any other name the manager makes "stored", and we would not find it again.
  if (typeof store !== 'string' || !/^[ -9;-~]{1,255}$/.test(store)) {
    throw bad('store', store, "1 to 255 printable ASCII characters without ':'");
  }
  if (name !== undefined) throw bad('name', name, 'absent where store is given, which is the name to look for');
  if (activation === 'never') throw bad('activation', activation, "'auto' where store is given");
}

/** Who writes listen(app, 3000, '127.0.0.1') must not end up on every address. */
export function refuseMore(verb: string, more: readonly unknown[]): void {
  if (more.length === 0) return;
  throw new ListenFdsError(
    'LISTENFDS_BAD_OPTION',
    `${verb}() takes one target and no further arguments: write { port, host, backlog }, and await the promise instead of a callback`,
  );
}

/** LISTENFDS=required|never|auto decides for a whole program what the code leaves open. */
export function parseActivation(env: NodeJS.ProcessEnv): Wanted['activation'] {
  const value = env['LISTENFDS'];
  if (value === undefined || value === '') return 'auto';
  if (value === 'auto' || value === 'required' || value === 'never') return value;
  throw new ListenFdsError(
    'LISTENFDS_BAD_ENVIRONMENT',
    `LISTENFDS=${JSON.stringify(value)} is none of auto, required, never`,
    {
      variable: 'LISTENFDS',
    },
  );
}

/**
 * Checks a target and fills in what it leaves open.
 *
 * @throws ListenFdsError LISTENFDS_BAD_OPTION, LISTENFDS_BAD_ADDRESS, LISTENFDS_BAD_ENVIRONMENT
 */
export function parseTarget(target: Target | undefined, env?: NodeJS.ProcessEnv): Wanted;
export function parseTarget<P extends Place>(
  target: number | string | CommonTarget | undefined,
  env: NodeJS.ProcessEnv | undefined,
  spelling: Spelling<P>,
): Wanted<P>;
export function parseTarget(
  target: number | string | CommonTarget | undefined,
  env: NodeJS.ProcessEnv = process.env,
  spelling: Spelling<Place> = streams,
): Wanted<Place> {
  let options: ListenTarget;
  if (target === undefined) options = {};
  else if (typeof target === 'number') options = { port: target };
  else if (typeof target === 'string') options = { address: target };
  else if (typeof target === 'object' && target !== null) options = target;
  else throw bad('the target', target, 'a port, an address string or an object');

  if ('fd' in options && options.fd !== undefined) {
    throw bad(
      'fd',
      options.fd,
      'absent: inherited descriptors are found by name or address (or take() one from listenFds())',
    );
  }
  const { name, store, activation, mismatch = 'warn', mode, user, group, removeOnStop, inetd, ...rest } = options;
  const { address: _address, path: _path, port: _port, host: _host, ...others } = rest;
  const { maxConnections, maxConnectionsPerSource, allow, deny, authorize = null, ...node } = others;
  for (const option of Object.keys(node)) {
    if (option in spelling.options || (node as Record<string, unknown>)[option] === undefined) continue;
    throw new ListenFdsError('LISTENFDS_BAD_OPTION', `There is no option ${JSON.stringify(option)} here`);
  }
  const hasLimits = limitOptions.some((option) => options[option] !== undefined);
  if (name !== undefined && (typeof name !== 'string' || name === '')) throw bad('name', name, 'a FileDescriptorName');
  checkStore(options, spelling === streams);
  const { backlog } = node;
  if (backlog !== undefined && !(Number.isInteger(backlog) && backlog > 0)) {
    throw bad('backlog', backlog, 'a whole number above 0');
  }
  const active =
    activation === undefined ? parseActivation(env) : oneOf('activation', activation, ['auto', 'required', 'never']);
  return {
    address: addressOf(options, spelling),
    name: name ?? null,
    store: active === 'never' ? null : (store ?? null),
    activation: active,
    mismatch: oneOf('mismatch', mismatch, ['warn', 'error', 'ignore']),
    mode: modeOf(mode),
    user: checkOwner('user', user),
    group: checkOwner('group', group),
    removeOnStop: removeOnStop ?? null,
    inetd: inetd ?? false,
    limits: hasLimits ? ({ maxConnections, maxConnectionsPerSource, allow, deny } as Limits) : null,
    authorize,
    node,
  };
}
