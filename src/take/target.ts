// The target of a call, in any of its spellings, read into one checked form.
import type { BlockList, ListenOptions } from 'node:net';
import type { AuthorizationRule } from '../admit/authorize.js';
import type { Limits } from '../admit/limits.js';
import { path as paths } from '../system/builtins.js';
import { type Address, type Place, parseAddress } from '../text/address.js';
import { fdName } from '../text/notify-state.js';
import {
  type Option,
  type Table,
  type TableOf,
  badOption,
  badValue,
  boolean,
  given,
  oneOf,
  readOptions,
  text,
  whole,
} from '../text/options.js';
import { readVariable } from '../text/variables.js';

/** Options that every kind of socket unit has. */
export interface CommonTarget {
  /** The address as the directive of the .socket unit has it; for listen(), instead of `port`, `host` and `path`. */
  address?: string;
  /** FileDescriptorName= of the inherited descriptor to take. */
  name?: string;
  /**
   * Whether to take an inherited descriptor: `'auto'` if one was passed, `'required'` or fail, `'never'`.
   * @default the environment variable LISTENFDS, else 'auto'
   */
  activation?: 'auto' | 'required' | 'never';
  /**
   * The reaction if the inherited socket is bound to another address than the one asked for.
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

/** Where to listen, and how: Node's own ListenOptions and settings of a .socket unit. */
export interface ListenTarget extends Omit<ListenOptions, 'port'>, CommonTarget, Limits {
  /** The TCP port, a number or its digits (`process.env.PORT ?? 3000`); 0 is any that is free. */
  port?: number | string;
  /** The IP address or host name to bind. Without it: every address of this machine, both families. */
  host?: string;
  /** The path of a unix socket; an abstract name begins with NUL. */
  path?: string;
  /**
   * Keep the socket in the manager's file descriptor store under this name, and find it there at the next start: a
   * restart then refuses no connection, without a socket unit. The service needs FileDescriptorStoreMax=.
   */
  store?: string;
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
   * BindIPv6Only= of a TCP socket we bind: an IPv6 address does not take IPv4 connections.
   * @default false
   */
  ipv6Only?: boolean;
  /**
   * In a cluster worker: bind a socket of the worker's own instead of one that is shared with the other workers.
   * @default false
   */
  exclusive?: boolean;
  /**
   * As in server.listen(): every user may read from the unix socket we bind.
   * @default false
   */
  readableAll?: boolean;
  /**
   * As in server.listen(): every user may write to the unix socket we bind.
   * @default false
   */
  writableAll?: boolean;
  /**
   * `'all'`: every listener that was passed (with `name`: of that name) and that nobody has taken is served by this one app,
   * IPv4 and IPv6, TCP and unix sockets. `address` is then the one that was asked for, or else the first.
   * @default 'one'
   */
  inherited?: 'one' | 'all';
  /**
   * The number of a listening descriptor that was passed in another way than LISTEN_FDS: `--fd N`, as circus and einhorn do it.
   * It stays with whoever passed it.
   */
  fd?: number;
  /** Closes the server when it aborts. */
  signal?: AbortSignal;
  /**
   * The users and groups that may connect, as the kernel knows them: authorize() for the server, in force from the first connection on.
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
  /** Every suitable one is meant. */
  readonly all: boolean;
  /** The very descriptor that is meant. */
  readonly fd: number | null;
  /** A connection on fd 0 is meant, too. */
  readonly inetd: boolean;
  /** maxConnections, maxConnectionsPerSource, allow, deny; null if none is given. */
  readonly limits: Limits | null;
  readonly authorize: AuthorizationRule | null;
  /** The options that are passed on to Node: backlog, ipv6Only, reusePort, exclusive, readableAll, writableAll, signal. */
  readonly node: ListenOptions;
}

const nonEmpty = /^[^]/;

const port: Option<number> = {
  allowed: 'a whole number from 0 to 65535, or its digits',
  read(value) {
    const number = typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : value;
    return Number.isInteger(number) && (number as number) >= 0 && (number as number) <= 65535
      ? (number as number)
      : undefined;
  },
};

const mode: Option<number> = {
  allowed: "an access mode from 0 to 0o777, such as 0o660 or '0660'",
  read(value) {
    const number = typeof value === 'string' && /^[0-7]+$/.test(value) ? Number.parseInt(value, 8) : value;
    return Number.isInteger(number) && (number as number) >= 0 && (number as number) <= 0o777
      ? (number as number)
      : undefined;
  },
};

const owner: Option<number | string> = {
  allowed: 'a name or a number',
  read(value) {
    if (typeof value === 'string' && value !== '') return /^[0-9]+$/.test(value) ? Number(value) : value;
    return Number.isInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
  },
};

const addressList = given<BlockList | readonly string[]>(
  'a net.BlockList, or an array of IP addresses and networks such as 10.0.0.0/8',
  (value) => typeof value === 'object' && value !== null,
);

/** The options of every verb. */
export const commonOptions = {
  address: text('an address string', nonEmpty),
  name: text('a FileDescriptorName', nonEmpty),
  activation: oneOf('auto', 'required', 'never'),
  mismatch: { ...oneOf('warn', 'error', 'ignore'), default: 'warn' as const },
} satisfies Table;

export const path = text('a path', nonEmpty);

/** The options of a file with an owner. */
export const ownerOptions = {
  mode,
  user: owner,
  group: owner,
  removeOnStop: boolean,
} satisfies Table;

/** Where a socket with a port is. */
export const portOptions = { port, host: text('a host name or an IP address', /^/) } satisfies Table;

/** The users and groups that may connect. */
export const admissionOptions = {
  maxConnections: whole(1),
  maxConnectionsPerSource: whole(1),
  allow: addressList,
  deny: addressList,
  authorize: given<AuthorizationRule>(
    'an object with uids, gids, users or groups, or a function',
    (value) => typeof value === 'function' || (typeof value === 'object' && value !== null && !Array.isArray(value)),
  ),
} satisfies Table;

/** Backlog=. listen(2) takes an int. */
export const backlog = { ...whole(1, 2 ** 31 - 1), default: 4096 }; // systemd.socket(5)

/** The options of listen(). */
export const listenOptions = {
  ...commonOptions,
  ...ownerOptions,
  path,
  ...portOptions,
  ...admissionOptions,
  backlog,
  // Of any other name the manager makes "stored", and we would not find it again.
  store: fdName,
  inherited: { ...oneOf('one', 'all'), default: 'one' as const },
  fd: whole(3, 2 ** 31 - 1),
  inetd: { ...boolean, default: false },
  ipv6Only: boolean,
  reusePort: boolean,
  exclusive: boolean,
  readableAll: boolean,
  writableAll: boolean,
  signal: given<AbortSignal>('an AbortSignal', (value) => value instanceof AbortSignal),
} satisfies TableOf<ListenTarget & { reusePort?: boolean }>;

/** How a verb reads an address, whether a port alone is one, and its options. */
export interface Spelling<P extends Place> {
  parse(text: string): P;
  readonly ports: boolean;
  readonly options: Table;
}

const streams: Spelling<Address> = { parse: parseAddress, ports: true, options: listenOptions };

function pathAddress<P extends Place>(path: string, spelling: Spelling<P>): P | Address {
  if (process.platform === 'win32') return { kind: 'unix', path }; // a named pipe
  return spelling.parse(path.startsWith('\0') ? `@${path.slice(1)}` : paths.resolve(path));
}

interface Where {
  address?: string;
  path?: string;
  port?: number;
  host?: string;
}

function addressOf<P extends Place>({ address, path, port, host }: Where, spelling: Spelling<P>): P | Address | null {
  const several = Object.entries({ address, path, port }).filter(([, value]) => value !== undefined);
  if (several.length > 1) {
    throw badOption(`The target has ${several.map(([name]) => name).join(' and ')}, but only one of them can count`);
  }
  if (address !== undefined) {
    if (host !== undefined) throw badOption('The target has address and host, but the address names the host already');
    return spelling.parse(address);
  }
  if (path !== undefined) {
    if (host !== undefined) throw badOption('The target has path and host, but a path has no host');
    return pathAddress(path, spelling);
  }
  if (port === undefined && host === undefined) return null;
  return { kind: 'inet', host: host || null, port: port ?? 0 };
}

function checkStore(store: string | undefined, name: string | undefined, activation: string | undefined): void {
  if (store === undefined) return;
  if (name !== undefined) throw badOption('The target has store and name, but store is the name to look for already');
  if (activation === 'never') throw badValue('activation', activation, "'auto' or 'required' where store is given");
}

function checkNumber(fd: number | undefined, others: object): void {
  const [other] = Object.entries(others).find(([, value]) => value !== undefined) ?? [];
  if (fd !== undefined && other !== undefined) {
    throw badOption(`The target has fd and ${other}, but fd is the very descriptor already`);
  }
}

/** listen(app, 3000, '127.0.0.1') must not listen on every address. */
export function refuseMore(verb: string, more: readonly unknown[]): void {
  if (more.length === 0) return;
  throw badOption(
    `${verb}() takes one target and no further arguments: write { port, host, backlog }, and await the promise instead of a callback`,
  );
}

type Defined<T> = { [name in keyof T]?: Exclude<T[name], undefined> };

function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}

/**
 * Checks a target and fills in defaults.
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
  let options: object;
  if (target === undefined) options = {};
  else if (typeof target === 'number') options = { port: target };
  else if (typeof target === 'string') options = { address: target };
  else if (typeof target === 'object' && target !== null) options = target;
  else throw badValue('The target', target, 'a port, an address string or an object of options');

  if (!spelling.ports && typeof target === 'number') throw badValue('The target', target, 'an address without a port');
  const read = readOptions(spelling.options as typeof listenOptions, options);
  const { name, store, activation, mismatch, mode, user, group, removeOnStop, inetd, inherited, fd, ...rest } = read;
  const { address, path, port, host, ...others } = rest;
  const { maxConnections, maxConnectionsPerSource, allow, deny, authorize, ...node } = others;
  const limits = defined({ maxConnections, maxConnectionsPerSource, allow, deny });
  checkStore(store, name, activation);
  checkNumber(fd, { name, store, inherited: inherited === 'all' ? inherited : undefined });
  const active = activation ?? readVariable('LISTENFDS', env);
  return {
    address: addressOf(defined({ address, path, port, host }), spelling),
    name: name ?? null,
    store: active === 'never' ? null : (store ?? null),
    activation: active,
    mismatch,
    mode: mode ?? null,
    user: user ?? null,
    group: group ?? null,
    removeOnStop: removeOnStop ?? null,
    all: inherited === 'all',
    fd: fd ?? null,
    inetd,
    limits: Object.keys(limits).length > 0 ? limits : null,
    authorize: authorize ?? null,
    node,
  };
}
