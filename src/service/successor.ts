// What passes between a service and the successor it has started, beside the sockets: a stream on a path that only this user
// can reach, and that LISTENFDS_UPGRADE names. Either side learns from its end that the other one is gone.
//
//   old → new   { hello: … }      where the manager is, and the state that is handed over
//   new → old   READY=1           through NOTIFY_SOCKET, as any program says it
//   old → new   { go: true }      the manager knows the new main process; talk to it yourself from now on
//   new → old   { kept: … }       the sockets it has, by inode: on all others only the old process listens
//   new → old   end               it has heard
import type { Server, Socket } from 'node:net';
import { peerCredentials } from '../admit/peer.js';
import { privatePath } from '../open/private-place.js';
import { net } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { isUsOrRoot } from '../system/users.js';
import { badOption } from '../text/options.js';
import { Deadline } from './deadline.js';

/** What a successor is told. */
export interface Hello {
  /** The manager's NOTIFY_SOCKET, null if there is none. */
  readonly notifySocket: string | null;
  /** WATCHDOG_USEC, null if the manager expects no sign of life. */
  readonly watchdogUsec: string | null;
  /** What upgrade({ state }) was given, Buffers as such. */
  readonly state: unknown;
}

/** Bytes of serialised state at most. */
const maxStateBytes = 64 << 20;

/** A successor whose event loop stands still does not hear us. Milliseconds. */
const hearingTime = 5_000;

/** A process whose event loop stands still for that long does not greet its successor. Milliseconds. */
const greetingTime = 15_000;

export const upgradeVariable = 'LISTENFDS_UPGRADE';

/** Whether the other end of a unix connection is this user, or root: not one of those without a number here. */
export function isOurs(socket: Socket): boolean {
  try {
    const { uid, pid } = peerCredentials(socket);
    return isUsOrRoot(uid, pid);
  } catch {
    return false;
  }
}

/** One message: its length in 4 bytes, then what the structured clone of node:v8 makes of it. */
export function frame(message: unknown): Buffer {
  const body = process.getBuiltinModule('node:v8').serialize(message);
  if (body.length > maxStateBytes) {
    throw badOption(`state takes ${body.length} bytes, but at most ${maxStateBytes} can be handed over`);
  }
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

/** The messages of a stream, as they complete. */
export async function* messages(socket: Socket): AsyncGenerator<Record<string, unknown>> {
  let chunks: Buffer[] = [];
  let size = 0;
  let wanted = 4;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    // Put together only when it is all there: a large state comes in thousands of pieces.
    while (size >= wanted) {
      const all = Buffer.concat(chunks);
      wanted = 4 + all.readUInt32BE();
      chunks = [all];
      if (size < wanted) break;
      const body = all.subarray(4, wanted);
      chunks = [all.subarray(wanted)];
      size -= wanted;
      wanted = 4;
      yield process.getBuiltinModule('node:v8').deserialize(body) as Record<string, unknown>;
    }
  }
}

/** The old side: answers whoever of us connects with `hello`, and with `go` when told to. */
export class Briefing {
  readonly path = privatePath('upgrade');
  readonly #server: Server;
  readonly #sockets = new Map<Socket, Promise<void>>();
  #kept: readonly string[] | null = null;

  constructor(hello: Hello) {
    const greeting = frame({ hello });
    this.#server = net.createServer((socket) => {
      if (!isOurs(socket)) {
        socket.destroy();
        return;
      }
      this.#sockets.set(socket, this.#hear(socket));
      socket.on('error', () => {}).once('close', () => this.#sockets.delete(socket));
      socket.write(greeting);
    });
    this.#server.unref();
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ path: this.path, exclusive: true }, resolve);
    });
  }

  async #hear(socket: Socket): Promise<void> {
    try {
      for await (const { kept } of messages(socket)) if (Array.isArray(kept)) this.#kept = kept.map(String);
    } catch {
      // it is gone
    }
  }

  /**
   * Says go, if somebody listens, and waits until it is heard: until then the other side speaks to us.
   *
   * @returns the sockets that the successor has kept, by inode; null if it does not say
   */
  async go(): Promise<readonly string[] | null> {
    const heard = [...this.#sockets].map(([socket, hearing]) => {
      socket.end(frame({ go: true }));
      return hearing;
    });
    this.#server.close();
    await new Deadline(hearingTime).within('The successor', Promise.all(heard)).catch(() => {}); // it does not hear us
    return this.#kept;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets.keys()) socket.destroy();
  }
}

/** The new side's view of a hand-over. */
export interface Succession {
  readonly hello: Hello;
  /** Resolves when the manager is ours to talk to: the old process said go, or is gone. */
  readonly ours: Promise<void>;
  /** To be called when the manager is ours to talk to, with the sockets that stay open here, by inode. */
  keep(sockets: readonly string[]): void;
}

let joined: Promise<Succession | null> | undefined;

/** Connects to the process that started us as its successor; null if nobody did. Consumes LISTENFDS_UPGRADE. */
export function joinSuccession(env: NodeJS.ProcessEnv = process.env): Promise<Succession | null> {
  joined ??= join(env[upgradeVariable]);
  delete env[upgradeVariable];
  return joined;
}

function untilConnected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve();
    });
  });
}

async function join(path: string | undefined): Promise<Succession | null> {
  if (path === undefined) return null;
  const socket = net.connect({ path });
  const inbox = messages(socket);
  let first: IteratorResult<Record<string, unknown>>;
  try {
    await untilConnected(socket);
    // The variable may come from somebody else.
    if (!isOurs(socket)) {
      socket.destroy();
      return null;
    }
    first = await new Deadline(greetingTime).within('The hello of the old process', inbox.next());
  } catch (error) {
    socket.destroy();
    if (error instanceof ListenFdsError) throw error;
    return null; // a variable left over from an upgrade long ago
  }
  if (first.done) return null;
  const ours = (async () => {
    try {
      await inbox.next();
    } catch {
      // The old process was killed: there is nobody left to wait for.
    }
    // It tells the old process that we have heard, and comes after who waits for us has taken over.
    setImmediate(() => socket.end());
  })();
  const keep = (kept: readonly string[]): void => void (socket.destroyed || socket.write(frame({ kept })));
  return { hello: first.value['hello'] as Hello, ours, keep };
}

/** See entry.ts. */
export async function upgradeState(): Promise<unknown> {
  return (await joinSuccession())?.hello.state ?? null;
}
