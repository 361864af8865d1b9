// listenFds(): consume LISTEN_* once, verify every descriptor, let each be owned once. The result belongs to the
// process, not to the module: two copies of the package must never adopt the same socket.
import type { AddressInfo } from 'node:net';
import { util } from './builtins.js';
import { describeFacts, isOpenOn, procLink, summary, type Description, type Kind } from './descriptor.js';
import {
  firstFd,
  listenVariables,
  parseEnvironment,
  type AcceptedPid,
  type Announcement,
  type Identity,
  type ListenVariables,
} from './environment.js';
import { ListenFdsError } from './errors.js';
import { binding, bindingIfAny, systemError } from './native.js';

/** One descriptor that was passed to this process, as it was found when listenFds() verified it. */
export interface InheritedFd {
  /** Its number: 3 is the first (SD_LISTEN_FDS_START). */
  readonly fd: number;
  /** FileDescriptorName=; 'unknown' where LISTEN_FDNAMES is absent, as in C. Names may repeat. */
  readonly name: string;
  /** What it is, by the kernel's word. */
  readonly kind: Kind;
  /** SO_ACCEPTCONN: connections can be accepted from it. */
  readonly listening: boolean;
  /** Accept=yes, or a stored connection. */
  readonly connected: boolean;
  /** What `server.address()` would say; an address string for what is neither IP nor unix. */
  readonly address: AddressInfo | string | null;
  /** The other end of a connected one. */
  readonly peer: AddressInfo | string | null;
  /** The backlog in force, listeners only; null where the kernel does not tell. */
  readonly backlog: number | null;
  /** Everything else that is known about it. */
  readonly description: Description;
  /** Whether somebody has taken it: take(), or a listen() of any kind. */
  readonly taken: boolean;
  /**
   * Hands the descriptor out, once: from then on the caller owns and closes it.
   *
   * @throws ListenFdsError LISTENFDS_TAKEN on the second call
   */
  take(): number;
}

/** Options of {@link listenFds}. */
export interface ListenFdsOptions {
  /**
   * Whose LISTEN_PID counts: `'self'` as in C, `'parent'` also what was meant for the parent (`sh -c 'node app.js'`,
   * `timeout`), `'any'` whatever it says.
   * @default 'self'
   */
  pid?: AcceptedPid;
  /**
   * Where the variables are read and removed.
   * @default process.env
   */
  env?: NodeJS.ProcessEnv;
}

class Inherited implements InheritedFd {
  readonly fd: number;
  readonly name: string;
  readonly description: Description;
  #taken = false;

  constructor(name: string, description: Description) {
    this.fd = description.fd;
    this.name = name;
    this.description = description;
  }

  get kind(): Kind {
    return this.description.kind;
  }
  get listening(): boolean {
    return this.description.listening;
  }
  get connected(): boolean {
    return this.description.connected;
  }
  get address(): AddressInfo | string | null {
    return this.description.address;
  }
  get peer(): AddressInfo | string | null {
    return this.description.peer;
  }
  get backlog(): number | null {
    return this.description.backlog;
  }
  get taken(): boolean {
    return this.#taken;
  }

  take(): number {
    if (this.#taken) {
      throw new ListenFdsError('LISTENFDS_TAKEN', `${this.toString()} was already taken`, { fd: this.fd });
    }
    this.#taken = true;
    return this.fd;
  }

  putBack(): void {
    this.#taken = false;
  }

  toString(): string {
    return summary(this);
  }

  // What console.log and JSON.stringify show: the getters above are not own properties.
  toJSON(): object {
    const { fd, name, kind, listening, connected, address, peer, backlog, taken } = this;
    return { fd, name, kind, listening, connected, address, peer, backlog, taken };
  }

  [Symbol.for('nodejs.util.inspect.custom')](
    _depth: number,
    _options: object,
    inspect?: (v: unknown) => string,
  ): string {
    return `InheritedFd ${inspect ? inspect(this.toJSON()) : JSON.stringify(this.toJSON())}`;
  }
}

/** What is known in this process, whichever copy of the package found it out. */
interface Registry {
  readonly version: 1;
  /** Every descriptor ever verified, by number. */
  readonly known: Map<number, InheritedFd>;
  /** The variables as they were when they were removed from process.env. */
  consumed?: ListenVariables;
  /** What came of them. */
  announcement?: Announcement;
  result?: readonly InheritedFd[];
  error?: unknown;
  /** The socket that was found on fd 0. */
  stdin?: InheritedFd;
}

const registryKey = Symbol.for('listenfds');

function registry(): Registry {
  const holder = globalThis as { [registryKey]?: Registry };
  holder[registryKey] ??= { version: 1, known: new Map() };
  return holder[registryKey];
}

function pidfdInode(pid: number): bigint | null {
  const inode = binding().pidfdInode(pid);
  return typeof inode === 'bigint' ? inode : null;
}

/**
 * Whether this is a worker thread. Loading node:worker_threads to ask costs half a millisecond. The process's first
 * thread, whose id is the process's, is no worker; and where nothing is announced the mark that Node leaves on
 * process.chdir() in workers tells without the addon.
 */
export function isWorkerThread(env: NodeJS.ProcessEnv = process.env): boolean {
  const marked = (process.chdir as { disabled?: boolean }).disabled === true;
  if (!marked && (env['LISTEN_FDS'] === undefined || bindingIfAny()?.threadId() === process.pid)) return false;
  return !process.getBuiltinModule('node:worker_threads').isMainThread;
}

function refuseWorkerThread(): void {
  if (isWorkerThread()) {
    throw new ListenFdsError('LISTENFDS_WORKER_THREAD', 'Inherited descriptors were asked for in a worker thread');
  }
}

/** Copies the four variables and removes them from `env`, all or none. */
function consume(env: NodeJS.ProcessEnv): ListenVariables {
  const variables: ListenVariables = {};
  for (const name of listenVariables) {
    const value = env[name];
    if (value === undefined) continue;
    variables[name] = value;
    delete env[name];
  }
  return variables;
}

// The runtime's own descriptors take the numbers that were free when it started. Its first is the event loop's epoll
// descriptor, so a hole among the announced ones always shows as one of these.
const runtimeOwned = /^anon_inode:\[(eventpoll|io_uring)\]$/;

function refuseRuntimeOwned(description: Description, label: string): void {
  const { fd } = description;
  const link = description.kind === 'other' ? procLink(fd) : null;
  const ipc = (process.channel as { fd?: number } | undefined)?.fd === fd;
  if (ipc || (link !== null && runtimeOwned.test(link))) {
    throw new ListenFdsError(
      'LISTENFDS_NOT_INHERITED',
      `${label} is ${ipc ? "Node's IPC channel" : `the runtime's own ${link}`}, not an inherited descriptor; nothing was touched`,
      { fd },
    );
  }
}

/** Looks at every descriptor before any is changed. */
function verify({ count, names }: Announcement): Inherited[] {
  const { facts } = binding();
  const found: Inherited[] = [];
  for (let i = 0; i < count; i++) {
    const fd = firstFd + i;
    const name = names[i] ?? 'unknown';
    const label = `fd ${fd} ('${name}'), number ${i + 1} of the ${count} that LISTEN_FDS announces,`;
    const result = facts(fd);
    if (typeof result === 'number') {
      throw new ListenFdsError('LISTENFDS_NOT_OPEN', `${label} is not open; no descriptor was touched`, {
        fd,
        cause: systemError(result, 'fcntl', `fd ${fd}`),
      });
    }
    const description = describeFacts(result);
    refuseRuntimeOwned(description, label);
    found.push(new Inherited(name, description));
  }
  return found;
}

/** Keeps a descriptor out of every program this process starts. */
function closeOnExec(description: Description): void {
  if (description.cloexec) return;
  const result = binding().setCloexec(description.fd, true);
  if (result < 0) throw systemError(result, 'fcntl', `fd ${description.fd}`);
}

function adopt(announcement: Announcement): readonly InheritedFd[] {
  if (announcement.count === 0) return Object.freeze([]);
  const found = verify(announcement);
  for (const { description } of found) closeOnExec(description);
  const { known } = registry();
  return Object.freeze(
    found.map((inherited) => {
      // The same descriptor announced again is the same object: it still can be taken only once.
      const before = known.get(inherited.fd);
      if (before) return before;
      known.set(inherited.fd, inherited);
      return inherited;
    }),
  );
}

/** The value of LISTENFDS_PRIMARY. The pid comes first: register.ts looks for it. */
export interface TellingWorkers {
  readonly pid: number;
  readonly passed: readonly { readonly name: string; readonly description: Description }[];
}

/** What node:cluster can lend to its workers. */
export function isLendable({ kind, listening, connected }: InheritedFd): boolean {
  return (listening && (kind === 'tcp' || kind === 'unix')) || (kind === 'udp' && !connected);
}

/** Leaves word in the environment for cluster workers, which listen through this process. */
export function tellWorkers(passed: readonly InheritedFd[]): void {
  const lendable = passed.filter(isLendable);
  process.env['LISTENFDS_PRIMARY'] = JSON.stringify({
    pid: process.pid,
    passed: lendable.map(({ name, description }) => ({ name, description })),
  } satisfies TellingWorkers);
}

/**
 * In a program that has loaded node:cluster, workers are to listen through this process. Loading it to ask would cost
 * every other program 4 ms.
 */
function lendToCluster(passed: readonly InheritedFd[]): void {
  const { moduleLoadList } = process as { moduleLoadList?: string[] };
  if (passed.length === 0 || moduleLoadList?.includes('NativeModule internal/cluster/primary') === false) return;
  tellWorkers(passed);
  void import('./lend/room.js').then(({ lendToWorkers }) => lendToWorkers());
}

/**
 * The descriptors that the service manager passed, in its order; empty where there are none. Mirrors
 * sd_listen_fds_with_names(3) with `unset_environment`.
 *
 * Every descriptor is verified before anything is changed. Then all get FD_CLOEXEC, so that no child process inherits
 * them, and LISTEN_PID, LISTEN_PIDFDID, LISTEN_FDS and LISTEN_FDNAMES are removed, as in C on every path, failure
 * included. The outcome is remembered for the whole process: every later call gives the same list, or throws the same
 * error.
 *
 * @example
 * const [http, admin] = listenFds();
 * server.listen({ fd: http.take() });
 *
 * @throws ListenFdsError LISTENFDS_BAD_ENVIRONMENT, LISTENFDS_NOT_OPEN, LISTENFDS_NOT_INHERITED: no descriptor was
 * closed or changed
 * @throws ListenFdsError LISTENFDS_WORKER_THREAD, LISTENFDS_NO_ADDON
 */
export function listenFds(options: ListenFdsOptions = {}): readonly InheritedFd[] {
  refuseWorkerThread();
  const { pid = 'self', env = process.env } = options;
  if (pid !== 'self' && pid !== 'parent' && pid !== 'any') {
    throw new ListenFdsError('LISTENFDS_BAD_OPTION', `pid must be 'self', 'parent' or 'any', not ${util.inspect(pid)}`);
  }
  const identity: Identity = {
    pid: process.pid,
    get ppid() {
      return process.ppid;
    },
    pidfdInode,
  };
  if (env !== process.env) return adopt(parseEnvironment(consume(env), pid, identity));

  const state = registry();
  // What was meant for another process may be asked for again with a more generous `pid`.
  if (state.error !== undefined) throw state.error;
  if (state.result && (state.announcement?.meantFor === undefined || pid === 'self')) return state.result;
  state.consumed ??= consume(env);
  try {
    state.announcement = parseEnvironment(state.consumed, pid, identity);
    state.result = adopt(state.announcement);
    lendToCluster(state.result);
    return state.result;
  } catch (error) {
    state.error = error;
    throw error;
  }
}

/** Undoes take() for a descriptor that its taker could not use, if it is still the same open one. */
export function putBack(inherited: InheritedFd): void {
  if (isOpenOn(inherited.fd, inherited.description)) (inherited as Inherited).putBack();
}

/** The process that LISTEN_PID names when it is not us: the likely reason why nothing was found. */
export function meantForPid(): number | null {
  return registry().announcement?.meantFor ?? null;
}

/** A connection that is standard output as well would stay open after its end, and get what is meant for a log. */
function detachOutput(inode: number): void {
  const { facts, replaceFd } = binding();
  const is = (fd: number): boolean => {
    const found = facts(fd);
    return typeof found !== 'number' && found.domain !== undefined && found.inode === inode;
  };
  if (is(2)) replaceFd(0, 2);
  if (is(1)) replaceFd(2, 1);
}

/**
 * The socket on fd 0 that StandardInput=socket passes without any LISTEN_* variable, if `wanted` says yes to it. It moves
 * to a number of its own and fd 0 becomes /dev/null: no child inherits it as its standard input, and nothing else ever
 * lands on number 0 when the server closes. Taken once it stays known; refused it stays where it is.
 */
export function adoptStdin(
  isSocket: (fd: number) => boolean,
  wanted: (found: Description) => boolean,
): InheritedFd | null {
  refuseWorkerThread();
  const state = registry();
  if (state.stdin) return state.stdin;
  if (!isSocket(0)) return null;
  const facts = binding().facts(0);
  if (typeof facts === 'number') return null;
  const description = describeFacts(facts);
  if (!wanted(description)) return null;
  const fd = binding().detachStdin();
  if (fd < 0) throw systemError(fd, 'dup', 'fd 0');
  if (description.connected) detachOutput(facts.inode);
  state.stdin = new Inherited('stdin', { ...description, fd, cloexec: true });
  return state.stdin;
}
