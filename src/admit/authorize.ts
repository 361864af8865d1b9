// authorize(): who may connect to a unix listener, or send it datagrams, by the credentials that the kernel has of them.
import type { EventEmitter } from 'node:events';
import { isKnownGroup, isKnownUser, resolveName } from '../system/users.js';
import { type TableOf, badOption, badValue, given, readOptions } from '../text/options.js';
import { type Refusal, gatekeeper } from './gate.js';
import { type PeerCredentials, peerCredentials } from './peer.js';

/**
 * The users and groups that are let in: a client has to be in one of the lists. `groups` and `gids` are compared with the primary and the
 * supplementary groups that the kernel recorded, not with the group file as it is now.
 *
 * In a user namespace (a rootless container, PrivateUsers=) the kernel shows every user that has no number there as 65534,
 * `nobody`, and every such group as 65534: who it is cannot be known, so that number lets nobody in.
 */
export interface AuthorizationLists {
  /** User ids. */
  readonly uids?: readonly number[];
  /** Group ids. */
  readonly gids?: readonly number[];
  /** User names, resolved through nss when the rule is set. */
  readonly users?: readonly string[];
  /** Group names, resolved through nss when the rule is set. */
  readonly groups?: readonly string[];
}

/**
 * Lists, or a function that answers `true`, at once; everything else is no. A function is not asked about a user that has
 * no number in this user namespace: the answer is no.
 */
export type AuthorizationRule = AuthorizationLists | ((credentials: PeerCredentials) => boolean);

/** The sender of one datagram as the kernel reports it, SCM_CREDENTIALS. It names no supplementary groups. */
export type SenderCredentials = Pick<PeerCredentials, 'pid' | 'uid' | 'gid'>;

/** A rule in force. */
export interface Authorization<Rule> {
  /** Connections or datagrams that this rule let pass. */
  readonly allowed: number;
  /** Those it turned away. */
  readonly refused: number;
  /**
   * Puts another rule in its place, for those who come from now on; there is never a moment without one.
   *
   * @throws as the call that made it; then the rule before stays in force
   */
  change(rule: Rule): void;
}

type Credentials = SenderCredentials & Partial<PeerCredentials>;

function isId(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 0xffffffff;
}

const ids = given<readonly number[]>(
  'an array of whole numbers from 0 to 4294967294',
  (value) => Array.isArray(value) && value.every(isId),
);
const names = given<readonly string[]>(
  'an array of names',
  (value) => Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== ''),
);

/** The options of a rule that is made of lists. */
export const authorizationLists = {
  uids: ids,
  gids: ids,
  users: names,
  groups: names,
} satisfies TableOf<AuthorizationLists>;

/** Says why not, or null. */
type Decide = (credentials: Credentials) => string | null;

function decideByLists(lists: AuthorizationLists): Decide {
  const { uids = [], gids = [], users = [], groups = [] } = readOptions(authorizationLists, lists, 'authorize.');
  if (uids.length + gids.length + users.length + groups.length === 0) {
    throw badOption('The rule is empty: nobody could ever get in');
  }
  const allowedUids = new Set([...uids, ...users.map((name) => resolveName('user', name))]);
  const allowedGids = new Set([...gids, ...groups.map((name) => resolveName('group', name))]);
  return ({ pid, uid, gid, groups: supplementary = [] }) => {
    if (allowedUids.has(uid) && isKnownUser(uid, pid)) return null;
    if (allowedGids.size > 0) {
      const isAllowed = (group: number): boolean => allowedGids.has(group) && isKnownGroup(group, pid);
      if (isAllowed(gid) || supplementary.some(isAllowed)) return null;
    }
    return `uid ${uid}, gid ${gid} (pid ${pid}) is not allowed`;
  };
}

function decideByFunction(rule: (credentials: never) => unknown): Decide {
  let warned = false;
  const broken = (what: string): string => {
    if (!warned) process.emitWarning(`authorize: ${what}`, 'ListenFdsWarning');
    warned = true;
    return what;
  };
  return (credentials) => {
    const { uid, pid } = credentials;
    if (!isKnownUser(uid, pid)) return `uid ${uid} (pid ${pid}) is whoever has no number here`;
    let answer: unknown;
    try {
      answer = rule(credentials as never);
    } catch (error) {
      return broken(`the rule threw ${String(error)}`);
    }
    if (answer === true) return null;
    if (answer === false)
      return `uid ${credentials.uid}, gid ${credentials.gid} (pid ${credentials.pid}) is not allowed`;
    // A promise is truthy, and would let everybody in.
    if (answer instanceof Promise) answer.catch(() => {});
    return broken(`the rule returned ${answer instanceof Promise ? 'a promise' : typeof answer}, not true or false`);
  };
}

function prepare(rule: unknown): Decide {
  if (typeof rule === 'function') return decideByFunction(rule as (credentials: never) => unknown);
  if (typeof rule === 'object' && rule !== null && !Array.isArray(rule)) return decideByLists(rule);
  throw badValue('authorize', rule, 'an object with uids, gids, users or groups, or a function');
}

/** A rule, and whom it let in. */
export class RuleInForce implements Authorization<unknown> {
  allowed = 0;
  refused = 0;
  #decide: Decide;

  constructor(rule: unknown) {
    this.#decide = prepare(rule);
  }

  change(rule: unknown): void {
    this.#decide = prepare(rule);
  }

  /** `read` throws if there are no credentials: that is a no. */
  refusal(read: () => Credentials): Refusal | null {
    let credentials: Credentials | null = null;
    let reason: string | null;
    try {
      credentials = read();
      reason = this.#decide(credentials);
    } catch (error) {
      reason = (error as Error).message;
    }
    if (reason === null) {
      this.allowed += 1;
      return null;
    }
    this.refused += 1;
    return { reason: `authorize: ${reason}`, credentials };
  }
}

/**
 * Lets only those connect whom the rule allows, decided by the kernel's word on them and before a byte is read; all
 * others, also whoever comes over TCP, are disconnected, counted and published on the diagnostics channel
 * `listenfds:refused`. Call it before the server listens. A second call adds a second rule: both must allow. A rule can
 * be changed, never removed.
 *
 * @example
 * const server = http.createServer(app);
 * authorize(server, { users: ['root'], groups: ['operators'] });
 * await listen(server, '/run/app.sock');
 *
 * @throws ListenFdsError LISTENFDS_BAD_OPTION for a rule without an entry, or a malformed one; LISTENFDS_UNKNOWN_USER
 * if a name cannot be resolved; LISTENFDS_NO_ADDON
 */
export function authorize(server: EventEmitter, rule: AuthorizationRule): Authorization<AuthorizationRule> {
  const inForce = new RuleInForce(rule);
  // First of the gates: a client that is refused here does not count for the limits behind it.
  gatekeeper(server).gates.unshift((socket) => inForce.refusal(() => peerCredentials(socket)));
  return inForce;
}
