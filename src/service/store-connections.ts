// Open connections that go to another process: to the successor, or into the manager's store until the next start.
import type { Socket } from 'node:net';
import { storeFds } from '../manager/fd-store.js';
import { type UvHandle, descriptorOf, handleOf } from '../system/node-server.js';

interface StreamHandle extends UvHandle {
  reading?: boolean;
  readStart(): number;
  readStop(): number;
}

/** Of node:http's parser: finish() fails in the middle of a request, and changes nothing. */
interface Parser {
  finish(): Error | undefined;
}

/** Whether an HTTP/1 connection has nothing of a request that is not whole. */
export function isBetweenRequests(socket: Socket): boolean {
  const { parser } = socket as { parser?: Parser | null };
  return !(parser?.finish() instanceof Error);
}

/** The keys of a TLS connection are this process's, also for the socket below it, which its server shows. */
function isEncrypted(socket: Socket): boolean {
  const { encrypted = false, server } = socket as { encrypted?: boolean; server?: object | null };
  return encrypted || (server ? 'setSecureContext' in server : false);
}

/** Data that is read but not handled, or written but not sent, cannot move, nor can encryption. */
function isMovable(socket: Socket): boolean {
  return (
    !isEncrypted(socket) &&
    descriptorOf(socket) !== null &&
    !socket.destroyed &&
    socket.readableLength === 0 &&
    socket.writableLength === 0
  );
}

/** A connection that is not read from any more: data that arrives stays with the kernel, for whoever reads next. */
export interface HeldConnection {
  readonly fd: number;
  /** It is somebody else's now. close(2) only, no shutdown(2): the connection lives on. */
  leave(): void;
  /** It stays here. */
  resume(): void;
}

/** @returns null if it cannot move; then nothing has changed */
export function holdConnection(socket: Socket): HeldConnection | null {
  const handle = handleOf<StreamHandle>(socket);
  const fd = descriptorOf(socket);
  if (!isMovable(socket) || !handle || fd === null) return null;
  const paused = socket.isPaused();
  socket.pause();
  // Pausing a stream lets one more chunk come in.
  handle.readStop();
  handle.reading = false;
  return {
    fd,
    leave: () => void socket.destroy(),
    resume() {
      if (socket.destroyed) return;
      // A stream that is waiting for data does not ask its handle again.
      handle.reading = true;
      handle.readStart();
      if (!paused) socket.resume();
    },
  };
}

/** See entry.ts. */
export async function storeConnections(name: string, sockets: readonly Socket[]): Promise<number> {
  const held = sockets.flatMap((socket) => holdConnection(socket) ?? []);
  let stored = false;
  try {
    stored =
      held.length > 0 &&
      (await storeFds(
        name,
        held.map(({ fd }) => fd),
      ));
  } finally {
    for (const connection of held) {
      if (stored) connection.leave();
      else connection.resume();
    }
  }
  return stored ? held.length : 0;
}
