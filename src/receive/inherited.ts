// listenFds(): consume LISTEN_* once, verify every descriptor, let each be owned once. The result belongs to the
// process, not to the module: two copies of the package must never adopt the same socket.
import type { AddressInfo } from 'node:net';
import { binding, systemError } from '../system/addon.js';
import { ListenFdsError } from '../system/errors.js';
import { isWorkerThread } from '../system/process-role.js';
import { type Announcement, type ListenVariables, firstFd, listenVariables } from '../text/environment.js';
import {
  type Description,
  type Kind,
  type SocketFamily,
  type SocketType,
  describeFacts,
  isOpenOn,
  procLink,
  summary,
} from './descriptor.js';
import type { Origin } from './origin.js';
import { type Whence, inodeKey, originsVariable } from './told-origins.js';

/** One descriptor that was passed to this process, as it was found when listenFds() verified it. */
export interface InheritedFd {
  /** Its number: 3 is the first (SD_LISTEN_FDS_START). */
  readonly fd: number;
  /** FileDescriptorName=; 'unknown' if LISTEN_FDNAMES is absent, as in C. Names may repeat. */
  readonly name: string;
  /** Where it came from: the manager, its descriptor store, or the process that this one is the upgrade of. */
  readonly origin: Origin;
  /** Its kind, as the kernel says. */
  readonly kind: Kind;
  /** The address family; null if it is not a socket. */
  readonly family: SocketFamily | null;
  /** The socket type; null if it is not a socket. */
  readonly type: SocketType | null;
  /** SO_ACCEPTCONN: connections can be accepted from it. */
  readonly listening: boolean;
  /** Accept=yes, or a stored connection. */
  readonly connected: boolean;
  /** The result of `server.address()`; an address string if it is neither IP nor unix. */
  readonly address: AddressInfo | string | null;
  /** The other end of a connected one. */
  readonly peer: AddressInfo | string | null;
  /** The backlog in force, listeners only; null if the kernel does not tell. */
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

export class Inherited implements InheritedFd {
  readonly fd: number;
  readonly name: string;
  readonly description: Description;
  origin: Origin;
  /** The address that a predecessor had asked for, as text. */
  readonly asked: string | null;
  #taken = false;

  constructor(
    name: string,
    description: Description,
    { origin, asked = null }: { origin: Origin; asked?: string | null },
  ) {
    this.fd = description.fd;
    this.name = name;
    this.description = description;
    this.origin = origin;
    this.asked = asked;
  }

  get kind(): Kind {
    return this.description.kind;
  }
  get family(): SocketFamily | null {
    return this.description.family;
  }
  get type(): SocketType | null {
    return this.description.type;
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

  // For console.log and JSON.stringify: the getters above are not own properties.
  toJSON(): object {
    const { fd, name, origin, kind, family, type, listening, connected, address, peer, backlog, taken } = this;
    return { fd, name, origin, kind, family, type, listening, connected, address, peer, backlog, taken };
  }

  [Symbol.for('nodejs.util.inspect.custom')](
    _depth: number,
    _options: object,
    inspect?: (v: unknown) => string,
  ): string {
    return `InheritedFd ${inspect ? inspect(this.toJSON()) : JSON.stringify(this.toJSON())}`;
  }
}

/** The knowledge of this process, whichever copy of the package has it. */
interface Registry {
  readonly version: 1;
  /** Every descriptor ever verified, by number. */
  readonly known: Map<number, InheritedFd>;
  /** The variables as they were when they were removed from process.env. */
  consumed?: Consumed;
  /** The result. */
  announcement?: Announcement;
  result?: readonly InheritedFd[];
  /** Carriers of connections of the process before: no business of the program's. */
  carriers?: InheritedFd[];
  error?: unknown;
  /** The socket that was found on fd 0. */
  stdin?: InheritedFd;
}

const registryKey = Symbol.for('listenfds');

export function registry(): Registry {
  const holder = globalThis as { [registryKey]?: Registry };
  holder[registryKey] ??= { version: 1, known: new Map() };
  return holder[registryKey];
}

export function refuseWorkerThread(): void {
  if (isWorkerThread()) {
    throw new ListenFdsError('LISTENFDS_WORKER_THREAD', 'Inherited descriptors were asked for in a worker thread');
  }
}

/** The variables of the protocol, and the predecessor's word on each descriptor. */
export type Consumed = ListenVariables & { [originsVariable]?: string };

/** Copies the variables and removes them from `env`, all or none. */
export function consume(env: NodeJS.ProcessEnv): Consumed {
  const variables: Consumed = {};
  for (const name of [...listenVariables, originsVariable] as const) {
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
function verify({ count, names }: Announcement, origins: ReadonlyMap<string, Whence>): Inherited[] {
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
    // "stored" is the manager's own name for a descriptor that was stored without one, sd_notify(3).
    const guess: Whence = { origin: name === 'stored' ? 'store' : 'manager', asked: '' };
    found.push(new Inherited(name, description, origins.get(inodeKey(description.inode)) ?? guess));
  }
  return found;
}

/** Keeps a descriptor out of every program this process starts. */
function closeOnExec(description: Description): void {
  if (description.cloexec) return;
  const result = binding().setCloexec(description.fd, true);
  if (result < 0) throw systemError(result, 'fcntl', `fd ${description.fd}`);
}

export function adoptAnnounced(
  announcement: Announcement,
  origins: ReadonlyMap<string, Whence>,
): readonly InheritedFd[] {
  if (announcement.count === 0) return Object.freeze([]);
  const found = verify(announcement, origins);
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

/**
 * The descriptor of that number, which something else than LISTEN_FDS has told of: circus and einhorn pass a program the
 * numbers of its sockets as arguments.
 *
 * @throws ListenFdsError LISTENFDS_NOT_OPEN, LISTENFDS_NOT_INHERITED
 */
export function adoptNumber(fd: number): InheritedFd {
  refuseWorkerThread();
  const { known } = registry();
  const before = known.get(fd);
  if (before && isOpenOn(fd, before.description)) return before;
  const facts = binding().facts(fd);
  if (typeof facts === 'number') {
    const cause = systemError(facts, 'fcntl', `fd ${fd}`);
    throw new ListenFdsError('LISTENFDS_NOT_OPEN', `fd ${fd} is not open`, { fd, cause });
  }
  const description = describeFacts(facts);
  refuseRuntimeOwned(description, `fd ${fd}`);
  closeOnExec(description);
  const found = new Inherited('unknown', description, { origin: 'manager' });
  known.set(fd, found);
  return found;
}

/** The address that a predecessor had asked for, as text; null if no predecessor had bound it. */
export function askedByPredecessor(inherited: InheritedFd): string | null {
  return (inherited as Inherited).asked ?? null;
}

/** For one that turned out to come from elsewhere than its name told. */
export function setOrigin(inherited: InheritedFd, origin: Origin): void {
  (inherited as Inherited).origin = origin;
}

/** The process that LISTEN_PID names when it is not us: the likely reason why nothing was found. */
export function meantForPid(): number | null {
  return registry().announcement?.meantFor ?? null;
}
