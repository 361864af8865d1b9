// The manager's end of a NOTIFY_SOCKET, for programs that we start ourselves: the command of `listenfds run`, the successor of an
// upgrade.
import type { PeerCredentials } from '../admit/peer.js';
import { refuseDescriptors } from '../open/unix-path.js';
import { SOCK } from '../receive/descriptor.js';
import { binding } from '../system/addon.js';
import { parseTarget } from '../take/target.js';
import { maxMessageBytes } from '../text/notify-state.js';
import { UnixDatagram } from './datagram.js';
import { bindUnixSocket, setOptions } from './unix.js';

/** The sender of a message, as the kernel saw it. */
export type Sender = Pick<PeerCredentials, 'pid' | 'uid'>;

export interface NotifySocketOptions {
  /** A path, or an abstract name with its leading NUL. */
  readonly path: string;
  /** The access mode of a path: who may write to it may send. */
  readonly mode?: number;
  /** Whether descriptors that come along are wanted; `heard` then closes them. */
  readonly receiveFds?: boolean;
  /** Whose messages count. */
  accepts(sender: Sender): boolean;
  heard(text: string, fds: readonly number[]): void;
}

/** Opens it. It keeps the event loop alive, and belongs to this process: no upgrade passes it on. @returns closes it */
export function openNotifySocket(options: NotifySocketOptions): () => void {
  const { path, mode, receiveFds = false, accepts, heard } = options;
  const { fd, ended } = bindUnixSocket(
    SOCK.DGRAM,
    path,
    parseTarget({ path, ...(mode === undefined ? {} : { mode }) }),
  );
  let socket: UnixDatagram;
  try {
    setOptions(fd, { PassCredentials: true });
    if (!receiveFds) refuseDescriptors(fd);
    socket = new UnixDatagram({ fd, path, receiveFds, maxMessageSize: maxMessageBytes });
  } catch (error) {
    binding().closeFd(fd);
    ended(true);
    throw error;
  }
  socket.onceClosed(() => ended(true));
  socket.on('error', () => {});
  socket.on('message', (message, { credentials, fds = [], truncated }) => {
    if (credentials && !truncated && accepts(credentials)) heard(message.toString(), fds);
    else for (const one of fds) binding().closeElsewhere(one);
  });
  return () => void socket.close();
}
