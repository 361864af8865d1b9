// Every error this library raises of its own accord, one table. docs/errors.md is written from it, comments included: what
// only readers of the docs need is not loaded at every start.

/**
 * What the person who reads an error can do: the end of every message with its code. Before each stands when it is raised.
 */
export const remedies = {
  /**
   * A LISTEN_*, WATCHDOG_* or NOTIFY_SOCKET variable is malformed, or LISTEN_FDNAMES does not name as many descriptors
   * as LISTEN_FDS announces.
   */
  LISTENFDS_BAD_ENVIRONMENT:
    'Look at what starts this program: a service manager never sends this, a hand-written wrapper may',
  /** LISTEN_FDS announces a descriptor that is not open in this process. */
  LISTENFDS_NOT_OPEN:
    'Something between the manager and this program closed it: start the program directly (npm start, npx and sudo close descriptors)',
  /**
   * An announced descriptor turned out to be the runtime's own (event loop, IPC channel): the real one was closed before
   * the program started.
   */
  LISTENFDS_NOT_INHERITED:
    'Something between the manager and this program closed it: start the program directly (npm start, npx and sudo close descriptors)',
  /** take() was called twice for one descriptor, or a listener asked for one that another listener already has. */
  LISTENFDS_TAKEN: 'Take each descriptor once and hand the result on',
  /** Inherited descriptors were asked for in a worker thread. */
  LISTENFDS_WORKER_THREAD: 'Call it in the main thread; descriptors belong to the whole process',
  /** A cluster worker asked for descriptors that were passed to its primary, and that one has not consumed them. */
  LISTENFDS_CLUSTER_PRIMARY:
    'Call listenFds() in the primary before it forks, or start it with `node --import listenfds/register`; workers then listen through it',
  /**
   * The native addon cannot be loaded, and descriptors were passed, NOTIFY_SOCKET is set, or something was asked for
   * that only the addon can do.
   */
  LISTENFDS_NO_ADDON: 'It needs a C++ compiler; a bundle of the program must leave listenfds outside',
  /** activation is 'required' and no suitable descriptor was passed. */
  LISTENFDS_NOT_ACTIVATED: "Start the program through its socket unit, or allow binding with activation: 'auto'",
  /** Descriptors were passed, but none has the name asked for. */
  LISTENFDS_NAME_NOT_FOUND: 'Make FileDescriptorName= of the socket unit and the name option agree',
  /** The descriptor asked for is not what the call can serve, for example a datagram socket given to listen(). */
  LISTENFDS_WRONG_KIND: 'Use the Listen*= directive that fits, or the call that fits the descriptor',
  /** Several inherited descriptors would do and nothing tells which one is meant. */
  LISTENFDS_AMBIGUOUS: 'Select one by name (FileDescriptorName= and the name option) or by its address',
  /**
   * The inherited socket is bound elsewhere than the address asked for. A warning by default, an error with mismatch:
   * 'error'.
   */
  LISTENFDS_ADDRESS_MISMATCH:
    "The socket unit decides the address: change ListenStream= there, or ask for the address it has, select it with { name }, or say mismatch: 'ignore'",
  /** After adoption the server is not on the inherited descriptor: the runtime opened a socket of its own. */
  LISTENFDS_WRONG_SOCKET: 'Run the program with Node.js, or let it bind its own address with activation: never',
  /** An address string is not one that the Listen*= directive of the call takes. */
  LISTENFDS_BAD_ADDRESS:
    'Write 8080, 127.0.0.1:8080, [::1]:8080, /run/app.sock, @abstract or vsock:2:1234; give host names as { host, port }. docs/sockets.md has what the other calls take',
  /** An option, or an argument, has a value that cannot be used. */
  LISTENFDS_BAD_OPTION: 'See the documentation of the call',
  /** What was given as the app is neither a server, nor a request listener, nor a framework that is known. */
  LISTENFDS_BAD_APP:
    'Pass a net, http, https, http2 or tls server, a (req, res) function, or the framework instance itself',
  /** The server given is listening already. */
  LISTENFDS_ALREADY_LISTENING: 'Leave the listening to this call',
  /** A user or group name cannot be resolved. */
  LISTENFDS_UNKNOWN_USER: 'Check it with getent passwd or getent group, or give the number',
  /** Something that was waited for did not happen within the time allowed. */
  LISTENFDS_TIMEOUT: 'Look at what was waited for, or allow more time with the timeout option',
  /** Credentials were asked of something that is no unix socket. */
  LISTENFDS_NOT_UNIX:
    'Only unix sockets know who is on the other end: listen on a path, or authenticate in another way',
  /** Something was asked of a socket, or still waited to be sent, when the socket was closed. */
  LISTENFDS_CLOSED: 'Wait for what was sent before closing',
  /** A packet is longer than the memory for it, and a stream cannot pass on a part of it as the whole. */
  LISTENFDS_TRUNCATED: 'Raise maxMessageSize',
  /** The successor did not get ready: it ended, hung, or could not be started. This process goes on serving. */
  LISTENFDS_UPGRADE_FAILED: 'Look at what the successor printed, then ask for the upgrade again',
  /** An upgrade was asked for while one is under way, or while the service is starting or stopping. */
  LISTENFDS_UPGRADE_REFUSED: 'Wait for it to end, then ask again',
  /** A listener could not be put into the file descriptor store. A warning: the server serves all the same. */
  LISTENFDS_NOT_STORED:
    'Until it is stored, connections are refused while the service restarts; see the message for the reason',
  /** This runtime, platform or kernel cannot do what was asked. */
  LISTENFDS_UNSUPPORTED: 'See the message for what it needs',
} satisfies Record<string, string>;

/** A code of the error table. */
export type ErrorCode = keyof typeof remedies;

/** What an error is about, where it is about something that can be named. */
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
  /** Which error it is; docs/errors.md says when it comes and what to do. */
  readonly code: ErrorCode;
  /** The descriptor it is about, if there is one. */
  readonly fd?: number;
  /** The environment variable it is about, if there is one. */
  readonly variable?: string;

  /**
   * Made by this package alone.
   *
   * @hidden
   * @param code which error it is
   * @param found what was found; the table's remedy for `code` is added to it
   * @param details what it is about
   */
  constructor(code: ErrorCode, found: string, details: ErrorDetails = {}) {
    super(`${found}. ${remedies[code]}.`, 'cause' in details ? { cause: details.cause } : undefined);
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
