// The codes of all errors this library makes, in one table. docs/errors.md is written from it and its comments: only readers
// of the docs need those, so that they are not loaded at every start.

/** What the reader of an error can do: every message ends with it. The comment before each says when it is raised. */
export const remedies = {
  /**
   * A LISTENFDS_*, LISTEN_*, WATCHDOG_* or NOTIFY_SOCKET variable is malformed, or LISTEN_FDNAMES does not name as many
   * descriptors as LISTEN_FDS announces.
   */
  LISTENFDS_BAD_ENVIRONMENT:
    'Correct it where this program is started: in Environment= of its unit, or in the script that sets it',
  /** LISTEN_FDS announces a descriptor that is not open in this process. */
  LISTENFDS_NOT_OPEN:
    'A program between the manager and this one closed it: start this program directly (npm start, npx and sudo close descriptors)',
  /**
   * An announced descriptor turned out to be the runtime's own (event loop, IPC channel): the real one was closed before
   * the program started.
   */
  LISTENFDS_NOT_INHERITED:
    'A program between the manager and this one closed it: start this program directly (npm start, npx and sudo close descriptors)',
  /** take() was called twice for one descriptor, or a listener asked for one that another listener already has. */
  LISTENFDS_TAKEN: 'Take each descriptor once and pass the result on',
  /** Inherited descriptors were asked for in a worker thread. */
  LISTENFDS_WORKER_THREAD: 'Call it in the main thread; descriptors belong to the whole process',
  /** A cluster worker asked for descriptors that were passed to its primary, and the primary has not consumed them. */
  LISTENFDS_CLUSTER_PRIMARY:
    'Call listenFds() in the primary before it forks, or start it with `node --require listenfds/register`; workers then listen through it',
  /**
   * The native addon cannot be loaded, and descriptors were passed, NOTIFY_SOCKET is set, or the call needs the addon.
   */
  LISTENFDS_NO_ADDON: 'Build it with a C++ compiler, or leave listenfds outside of the bundle',
  /** Node.js was started with --permission or --no-addons, and so loads no native addon. */
  LISTENFDS_ADDONS_DISABLED: 'Add --allow-addons beside --permission, or remove --no-addons',
  /** activation is 'required' and no suitable descriptor was passed. */
  LISTENFDS_NOT_ACTIVATED: "Start the program through its socket unit, or allow binding with activation: 'auto'",
  /** Sockets were passed to a process before this one, such as npm, and this one binds its own. It is a warning. */
  LISTENFDS_NOT_FOR_US:
    'Start the program itself, ExecStart=/usr/bin/node /srv/app.js, without npm, npx, a shell or another program before it',
  /** Descriptors were passed, but none has the name asked for. */
  LISTENFDS_NAME_NOT_FOUND: 'Make FileDescriptorName= of the socket unit and the name option agree',
  /** The call cannot serve a descriptor of this kind, for example listen() a datagram socket. */
  LISTENFDS_WRONG_KIND: 'Use another Listen*= directive in the socket unit, or the call for this kind of descriptor',
  /** Several inherited descriptors are suitable, and neither a name nor an address says which one is meant. */
  LISTENFDS_AMBIGUOUS: 'Select one by name (FileDescriptorName= and the name option) or by its address',
  /**
   * The inherited socket is bound to another address than the one asked for. A warning by default, an error with mismatch:
   * 'error'.
   */
  LISTENFDS_ADDRESS_MISMATCH:
    "The socket unit decides the address: change ListenStream= there, or ask for the address it has, select it with { name }, or set mismatch: 'ignore'",
  /** After adoption the server is not on the inherited descriptor: the runtime opened a socket of its own. */
  LISTENFDS_WRONG_SOCKET: 'Run the program with Node.js, or let it bind its own address with activation: never',
  /** An address string is not one that the Listen*= directive of the call takes. */
  LISTENFDS_BAD_ADDRESS:
    'Write 8080, 127.0.0.1:8080, [::1]:8080, /run/app.sock, @abstract or vsock:2:1234; give host names as { host, port }. docs/sockets.md lists the addresses of the other calls',
  /** An option or an argument has a value that is not allowed, or there is no option of that name. */
  LISTENFDS_BAD_OPTION:
    'Correct it, or leave it out to get its default; docs/options.md lists the options of every call',
  /** The app is neither a server, nor a request listener, nor an instance of a known framework. */
  LISTENFDS_BAD_APP:
    'Pass a net, http, https, http2 or tls server, a (req, res) function, or the framework instance itself',
  /** The server given is listening already. */
  LISTENFDS_ALREADY_LISTENING: 'Pass a server that does not listen yet',
  /** A user or group name cannot be resolved. */
  LISTENFDS_UNKNOWN_USER: 'Check it with getent passwd or getent group, or give the number',
  /** An answer, a hook or a successor took longer than it was given. */
  LISTENFDS_TIMEOUT: 'Find out why it takes so long, or allow more time with the timeout option',
  /** The credentials of a peer were asked for, and the descriptor is not a unix socket. */
  LISTENFDS_NOT_UNIX:
    'The kernel knows the peers of unix sockets only: listen on a path, or authenticate clients in another way',
  /** The socket was closed before a message was sent, or before the call. */
  LISTENFDS_CLOSED: 'Wait for what was sent before you close the socket',
  /** A packet is longer than maxMessageSize. A stream cannot deliver a part of a packet as the whole. */
  LISTENFDS_TRUNCATED: 'Raise maxMessageSize',
  /** The successor did not get ready: it ended, hung, or could not be started. This process goes on serving. */
  LISTENFDS_UPGRADE_FAILED: 'Read what the successor printed, then ask for the upgrade again',
  /** An upgrade was asked for while one is under way, or while the service is starting or stopping. */
  LISTENFDS_UPGRADE_REFUSED: 'Ask again when that is over',
  /** An upgrade was asked for where the new process would not be followed: its supervisor watches this process only. */
  LISTENFDS_UPGRADE_UNFOLLOWED: 'Or insist with upgrade({ force: true }), if something else keeps the service alive',
  /** The reason of service.signal: the service stops accepting. Its cause says why it stops. */
  LISTENFDS_STOPPING: 'End what does not end by itself: event streams, long polls, WebSockets',
  /** A listener could not be put into the file descriptor store. It is a warning: the server serves. */
  LISTENFDS_NOT_STORED:
    'Until it is stored, connections are refused while the service restarts; see the message for the reason',
  /** This runtime, platform or kernel cannot do what was asked. */
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
      `${found}${found.endsWith('?') ? '' : '.'} ${remedies[code]}.`,
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
