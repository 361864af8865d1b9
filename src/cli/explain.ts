// listenfds explain CODE: when an error comes, and what to do about it. docs/errors.md has the same table.
import { type ErrorCode, remedies } from '../system/errors.js';
import { nearest } from '../text/options.js';
import { type CommandLine, UsageError } from './command-line.js';
import { write } from './terminal.js';

/** When each error comes. */
export const occasions: Readonly<Record<ErrorCode, string>> = {
  LISTENFDS_BAD_ENVIRONMENT:
    'A LISTENFDS_*, LISTEN_*, WATCHDOG_* or NOTIFY_SOCKET variable is malformed, or LISTEN_FDNAMES does not name as many descriptors as LISTEN_FDS announces.',
  LISTENFDS_NOT_OPEN: 'LISTEN_FDS announces a descriptor that is not open in this process.',
  LISTENFDS_NOT_INHERITED:
    "An announced descriptor turned out to be the runtime's own (event loop, IPC channel): the real one was closed before the program started.",
  LISTENFDS_TAKEN:
    'take() was called twice for one descriptor, or a listener asked for one that another listener already has.',
  LISTENFDS_WORKER_THREAD: 'Inherited descriptors were asked for in a worker thread.',
  LISTENFDS_CLUSTER_PRIMARY:
    'A cluster worker asked for descriptors that were passed to its primary, and the primary has not consumed them.',
  LISTENFDS_NO_ADDON:
    'The native addon cannot be loaded, and descriptors were passed, NOTIFY_SOCKET is set, or the call needs the addon.',
  LISTENFDS_ADDONS_DISABLED: 'Node.js was started with --permission or --no-addons, and so loads no native addon.',
  LISTENFDS_NOT_ACTIVATED: "activation is 'required' and no suitable descriptor was passed.",
  LISTENFDS_NOT_FOR_US:
    'Sockets were passed to a process before this one, such as npm, and this one binds its own. It is a warning.',
  LISTENFDS_NAME_NOT_FOUND: 'Descriptors were passed, but none has the name asked for.',
  LISTENFDS_WRONG_KIND: 'The call cannot serve a descriptor of this kind, for example listen() a datagram socket.',
  LISTENFDS_AMBIGUOUS:
    'Several inherited descriptors are suitable, and neither a name nor an address says which one is meant.',
  LISTENFDS_ADDRESS_MISMATCH:
    "The inherited socket is bound to another address than the one asked for. A warning by default, an error with mismatch: 'error'.",
  LISTENFDS_WRONG_SOCKET:
    'After adoption the server is not on the inherited descriptor: the runtime opened a socket of its own.',
  LISTENFDS_BAD_ADDRESS: 'An address string is not one that the Listen*= directive of the call takes.',
  LISTENFDS_BAD_OPTION: 'An option or an argument has a value that is not allowed, or there is no option of that name.',
  LISTENFDS_BAD_APP: 'The app is neither a server, nor a request listener, nor an instance of a known framework.',
  LISTENFDS_ALREADY_LISTENING: 'The server given is listening already.',
  LISTENFDS_UNKNOWN_USER: 'A user or group name cannot be resolved.',
  LISTENFDS_TIMEOUT: 'An answer, a hook or a successor took longer than it was given.',
  LISTENFDS_NOT_UNIX: 'The credentials of a peer were asked for, and the descriptor is not a unix socket.',
  LISTENFDS_CLOSED: 'The socket was closed before a message was sent, or before the call.',
  LISTENFDS_TRUNCATED:
    'A packet is longer than maxMessageSize. A stream cannot deliver a part of a packet as the whole.',
  LISTENFDS_UPGRADE_FAILED:
    'The successor did not get ready: it ended, hung, or could not be started. This process goes on serving.',
  LISTENFDS_UPGRADE_REFUSED:
    'An upgrade was asked for while one is under way, or while the service is starting or stopping.',
  LISTENFDS_UPGRADE_UNFOLLOWED:
    'An upgrade was asked for where the new process would not be followed: its supervisor watches this process only.',
  LISTENFDS_STOPPING: 'The reason of service.signal: the service stops accepting. Its cause says why it stops.',
  LISTENFDS_NOT_STORED:
    'A listener could not be put into the file descriptor store. It is a warning: the server serves.',
  LISTENFDS_UNSUPPORTED: 'This runtime, platform or kernel cannot do what was asked.',
};

export function explain(line: CommandLine): number {
  const [asked = '', ...more] = line.operands;
  const code = asked.toUpperCase().replace(/^(?!LISTENFDS_)/, 'LISTENFDS_');
  if (asked === '' || more.length > 0)
    throw new UsageError('give the code of one error', 'listenfds explain LISTENFDS_TAKEN');
  if (!Object.hasOwn(remedies, code)) {
    const known = Object.keys(remedies).map((name) => name.replace('LISTENFDS_', ''));
    const meant = nearest(code.replace('LISTENFDS_', ''), known);
    throw new UsageError(
      `there is no error ${asked}`,
      meant === null ? `the codes are LISTENFDS_${known.join(', LISTENFDS_')}` : `did you mean LISTENFDS_${meant}?`,
    );
  }
  write(1, `${code}\n\nWhen: ${occasions[code as ErrorCode]}\nWhat to do: ${remedies[code as ErrorCode]}.\n`);
  return 0;
}
