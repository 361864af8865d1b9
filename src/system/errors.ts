// The codes of all errors this library makes, in one table. cli/explain.ts has another, which says when each comes: only readers of
// docs/errors.md and `listenfds explain` need it, so that it is not loaded at every start.

/** What the reader of an error can do: every message ends with it, and with the place in docs/errors.md. */
export const remedies = {
  LISTENFDS_BAD_ENVIRONMENT:
    'Correct it where this program is started: in Environment= of its unit, or in the script that sets it',
  LISTENFDS_NOT_OPEN:
    'A program between the manager and this one closed it: start this program directly (npm start, npx and sudo close descriptors)',
  LISTENFDS_NOT_INHERITED:
    'A program between the manager and this one closed it: start this program directly (npm start, npx and sudo close descriptors)',
  LISTENFDS_TAKEN: 'Take each descriptor once and pass the result on',
  LISTENFDS_WORKER_THREAD: 'Call it in the main thread; descriptors belong to the whole process',
  LISTENFDS_CLUSTER_PRIMARY:
    'Call listenFds() in the primary before it forks, or start it with `node --require listenfds/register`; workers then listen through it',
  LISTENFDS_NO_ADDON: 'Build it with a C++ compiler, or leave listenfds outside of the bundle',
  LISTENFDS_ADDONS_DISABLED: 'Add --allow-addons beside --permission, or remove --no-addons',
  LISTENFDS_NOT_ACTIVATED: "Start the program through its socket unit, or allow binding with activation: 'auto'",
  LISTENFDS_NOT_FOR_US:
    'Start the program itself, ExecStart=/usr/bin/node /srv/app.js, without npm, npx, a shell or another program before it',
  LISTENFDS_NAME_NOT_FOUND: 'Make FileDescriptorName= of the socket unit and the name option agree',
  LISTENFDS_WRONG_KIND: 'Use another Listen*= directive in the socket unit, or the call for this kind of descriptor',
  LISTENFDS_AMBIGUOUS: 'Select one by name (FileDescriptorName= and the name option) or by its address',
  LISTENFDS_ADDRESS_MISMATCH:
    "The socket unit decides the address: change ListenStream= there, or ask for the address it has, select it with { name }, or set mismatch: 'ignore'",
  LISTENFDS_WRONG_SOCKET: 'Run the program with Node.js, or let it bind its own address with activation: never',
  LISTENFDS_BAD_ADDRESS:
    'Write 8080, 127.0.0.1:8080, [::1]:8080, /run/app.sock, @abstract or vsock:2:1234; give host names as { host, port }. docs/sockets.md lists the addresses of the other calls',
  LISTENFDS_BAD_OPTION:
    'Correct it, or leave it out to get its default; docs/options.md lists the options of every call',
  LISTENFDS_BAD_APP:
    'Pass a net, http, https, http2 or tls server, a (req, res) function, or the framework instance itself',
  LISTENFDS_ALREADY_LISTENING: 'Pass a server that does not listen yet',
  LISTENFDS_UNKNOWN_USER: 'Check it with getent passwd or getent group, or give the number',
  LISTENFDS_TIMEOUT: 'Find out why it takes so long, or allow more time with the timeout option',
  LISTENFDS_NOT_UNIX:
    'The kernel knows the peers of unix sockets only: listen on a path, or authenticate clients in another way',
  LISTENFDS_CLOSED: 'Wait for what was sent before you close the socket',
  LISTENFDS_TRUNCATED: 'Raise maxMessageSize',
  LISTENFDS_UPGRADE_FAILED: 'Read what the successor printed, then ask for the upgrade again',
  LISTENFDS_UPGRADE_REFUSED: 'Ask again when that is over',
  LISTENFDS_UPGRADE_UNFOLLOWED: 'Or insist with upgrade({ force: true }), if something else keeps the service alive',
  LISTENFDS_STOPPING: 'End what does not end by itself: event streams, long polls, WebSockets',
  LISTENFDS_NOT_STORED:
    'Until it is stored, connections are refused while the service restarts; see the message for the reason',
  LISTENFDS_UNSUPPORTED: 'The message says what it needs',
} satisfies Record<string, string>;

/** A code of the error table. */
export type ErrorCode = keyof typeof remedies;

/** What an error is about. */
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
   * @param details what it is about
   */
  constructor(code: ErrorCode, found: string, details: ErrorDetails = {}) {
    super(
      `${found}${found.endsWith('?') ? '' : '.'} ${remedies[code]}. (docs/errors.md#${code.toLowerCase()})`,
      'cause' in details ? { cause: details.cause } : undefined,
    );
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
