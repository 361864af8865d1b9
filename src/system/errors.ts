// The errors this library makes. errors.json says of each code when it comes and what to do: a start without an error does not
// wait for that.
import { fs } from './builtins.js';
import { beside } from './here.js';

/** A code of the error table. */
export type ErrorCode =
  | 'LISTENFDS_BAD_ENVIRONMENT'
  | 'LISTENFDS_NOT_OPEN'
  | 'LISTENFDS_NOT_INHERITED'
  | 'LISTENFDS_TAKEN'
  | 'LISTENFDS_WORKER_THREAD'
  | 'LISTENFDS_CLUSTER_PRIMARY'
  | 'LISTENFDS_NO_ADDON'
  | 'LISTENFDS_ADDONS_DISABLED'
  | 'LISTENFDS_NOT_ACTIVATED'
  | 'LISTENFDS_NOT_FOR_US'
  | 'LISTENFDS_NAME_NOT_FOUND'
  | 'LISTENFDS_WRONG_KIND'
  | 'LISTENFDS_AMBIGUOUS'
  | 'LISTENFDS_ADDRESS_MISMATCH'
  | 'LISTENFDS_WRONG_SOCKET'
  | 'LISTENFDS_BAD_ADDRESS'
  | 'LISTENFDS_BAD_OPTION'
  | 'LISTENFDS_BAD_APP'
  | 'LISTENFDS_ALREADY_LISTENING'
  | 'LISTENFDS_UNKNOWN_USER'
  | 'LISTENFDS_TIMEOUT'
  | 'LISTENFDS_NOT_UNIX'
  | 'LISTENFDS_CLOSED'
  | 'LISTENFDS_TRUNCATED'
  | 'LISTENFDS_UPGRADE_FAILED'
  | 'LISTENFDS_UPGRADE_REFUSED'
  | 'LISTENFDS_UPGRADE_UNFOLLOWED'
  | 'LISTENFDS_STOPPING'
  | 'LISTENFDS_NOT_STORED'
  | 'LISTENFDS_UNSUPPORTED';

/** A row of docs/errors.md. */
export interface ErrorRow {
  readonly when: string;
  readonly todo: string;
}

type ErrorTable = Partial<Record<ErrorCode, ErrorRow>>;

let table: ErrorTable | undefined;

/** The table by code; empty if the file cannot be read. A bundle may have left it behind. */
export function errorTable(): ErrorTable {
  try {
    return (table ??= JSON.parse(fs.readFileSync(beside('errors.json'), 'utf8')) as ErrorTable);
  } catch {
    return {};
  }
}

/** What was found, what to do, and the place in the docs that says more. */
function compose(code: ErrorCode, found: string): string {
  const { todo } = errorTable()[code] ?? {};
  return [
    `${found}${found.endsWith('?') ? '' : '.'}`,
    ...(todo ? [todo] : []),
    `(docs/errors.md#${code.toLowerCase()})`,
  ].join(' ');
}

/** The subject of an error. */
export interface ErrorDetails {
  /** The descriptor. */
  readonly fd?: number;
  /** The environment variable. */
  readonly variable?: string;
  /** The failure underneath, with Node's own code, errno and syscall. */
  readonly cause?: unknown;
}

const brand = Symbol.for('listenfds.error');

/**
 * An error of this library's own. `code` is one of the table in docs/errors.md and stays the same between releases;
 * the message does not. `instanceof` holds across two copies of the package in one process.
 */
export class ListenFdsError extends Error {
  /** Which error it is; docs/errors.md says when it is raised and what to do. */
  readonly code: ErrorCode;
  /** The descriptor it is about, if there is one. */
  declare readonly fd?: number;
  /** The environment variable it is about, if there is one. */
  declare readonly variable?: string;

  /**
   * Made by this package alone.
   *
   * @hidden
   * @param code which error it is
   * @param found what was found; the table's remedy for `code` is added to it
   * @param details the descriptor, name or option in question
   */
  constructor(code: ErrorCode, found: string, details: ErrorDetails = {}) {
    super(compose(code, found), 'cause' in details ? { cause: details.cause } : undefined);
    this.name = 'ListenFdsError';
    this.code = code;
    if (details.fd !== undefined) this.fd = details.fd;
    if (details.variable !== undefined) this.variable = details.variable;
    Object.defineProperty(this, brand, { value: true });
  }

  /** Whether it is an error of this package, whichever copy of it made it. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value;
  }
}
