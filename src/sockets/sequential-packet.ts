// ListenSequentialPacket=: connections over which packets travel whole, unix(7).
import type { EventEmitter as Emitter } from 'node:events';
import { refuseDescriptors } from '../open/unix-path.js';
import { authorize } from '../admit/authorize.js';
import { gatekeeper } from '../admit/gate.js';
import { fileOf, onceGone, registerOwn } from '../open/own.js';
import type { Suitable } from '../receive/choose.js';
import { AF, SOCK, isUnix } from '../receive/descriptor.js';
import { cancel, lend } from '../receive/lent.js';
import { binding, systemError } from '../system/addon.js';
import { ENOTCONN } from '../system/errnos.js';
import { ListenFdsError } from '../system/errors.js';
import { type ServerEndpoint, type SocketEndpoint, endpoint } from '../take/endpoint.js';
import { takeInherited } from '../take/take.js';
import {
  type CommonTarget,
  type ListenTarget,
  admissionOptions,
  backlog,
  commonOptions,
  ownerOptions,
  parseTarget,
  path,
} from '../take/target.js';
import { type Address, badAddress, formatAddress, parseAddress } from '../text/address.js';
import { type TableOf, boolean, readOptions } from '../text/options.js';
import { Acceptor } from './acceptor.js';
import { noAddress } from './file-address.js';
import { PolledDuplex, type ReadOutcome } from './polled-duplex.js';
import { type Batch, defaultMessageSize, maxMessageSize, sharedBatch } from './receive.js';
import { type BufferOptions, bindUnixSocket, bufferOptions, openSocket, pathBytes, setOptions } from './unix.js';

const { EventEmitter }: { EventEmitter: typeof Emitter } = process.getBuiltinModule('node:events');

/** How the connections of a server behave. */
export interface SequentialPacketOptions {
  /**
   * Whether the writable half stays open when the other side has ended its own.
   * @default false, as in net
   */
  allowHalfOpen?: boolean;
  /**
   * The longest packet that can be received, in bytes; a longer one destroys the connection with LISTENFDS_TRUNCATED.
   * @default 262144, more than a default SendBuffer= can send
   */
  maxMessageSize?: number;
}

/** Where to listen for packet connections, and how. */
export interface SequentialPacketTarget
  extends
    CommonTarget,
    BufferOptions,
    SequentialPacketOptions,
    Pick<ListenTarget, 'maxConnections' | 'maxConnectionsPerSource' | 'authorize'> {
  /** Instead of `address`. */
  path?: string;
  /**
   * Backlog= of a socket we bind; an inherited one keeps the backlog it has.
   * @default 4096, as in systemd
   */
  backlog?: number;
}

/**
 * One connection: an object-mode Duplex, each chunk one packet. A packet without bytes is an empty Buffer, and not the end.
 * Backpressure holds both ways.
 */
export class SequentialPacketSocket extends PolledDuplex {
  readonly #limit: number;
  /** The path of the other end; null if it has none, as most clients. */
  readonly remoteAddress: string | null;
  protected override readonly partial = false;
  readonly #arrived: (Buffer | Error | null)[] = [];

  /** @internal */
  constructor(fd: number, remoteAddress: string | null, options: SequentialPacketOptions = {}) {
    const { allowHalfOpen = false, maxMessageSize = defaultMessageSize } = options;
    // The end and a packet without bytes both read as 0 bytes; but only a packet comes with credentials.
    setOptions(fd, { PassCredentials: true });
    refuseDescriptors(fd);
    super({ fd, subject: `fd ${fd}`, objectMode: true, allowHalfOpen });
    this.#limit = maxMessageSize;
    this.remoteAddress = remoteAddress;
    sharedBatch().reserve(maxMessageSize);
  }

  protected override receive(): ReadOutcome | number {
    const batch = sharedBatch();
    const count = batch.receive(this.watcher, this.#limit, false);
    if (count < 0) return count;
    for (let i = 0; i < count; i++) {
      const packet = this.#packet(batch, i);
      this.#arrived.push(packet);
      if (!(packet instanceof Buffer)) break; // the end comes as often as it is asked for
    }
    const wanted = this.#hand();
    if (wanted === 'end') return 'end';
    if (!wanted) return 'full';
    return count === batch.size ? 'more' : 'later';
  }

  /** A packet of the batch; null for the end, an error if it is longer than allowed. */
  #packet(batch: Batch, i: number): Buffer | Error | null {
    if (batch.length(i) === 0 && !batch.hasCredentials(i)) return null;
    if (!batch.isTruncated(i)) return batch.message(i);
    return new ListenFdsError('LISTENFDS_TRUNCATED', `A packet of ${batch.length(i)} bytes exceeds ${this.#limit}`);
  }

  /**
   * Pushes all that is out of the kernel's queue, even if that is more than was wanted. A listener that throws must not
   * cost the packets behind its own.
   *
   * @returns whether more is wanted
   */
  #hand(): boolean | 'end' {
    let wanted = true;
    try {
      while (this.#arrived.length > 0) {
        const packet = this.#arrived.shift()!;
        if (packet === null) return 'end';
        if (packet instanceof Error) {
          this.destroy(packet);
          return false;
        }
        wanted = this.push(packet);
      }
      return wanted;
    } finally {
      if (this.#arrived.length > 0) process.nextTick(() => this.#hand() === 'end' && this.push(null));
    }
  }

  protected override transmit(packet: Uint8Array): number {
    return binding().sendMessage(this.fd, packet, null, null);
  }

  /** @internal */
  override _final(done: (error?: Error | null) => void): void {
    const result = binding().shutdownSocket(this.fd);
    done(result === 0 || result === ENOTCONN ? null : systemError(result, 'shutdown', `fd ${this.fd}`));
  }
}

/** Events of a {@link SequentialPacketServer}. */
export interface SequentialPacketServerEvents {
  /** Somebody has connected, and no gate refused it. */
  connection: [socket: SequentialPacketSocket];
  /** It listens; in the turn after it was made. */
  listening: [];
  /** Accepting failed; it goes on. */
  error: [error: Error];
  /** It accepts no more, and the last connection has ended. */
  close: [];
}

/** Accepts packet connections; in the shape of net.Server. */
export class SequentialPacketServer extends EventEmitter<SequentialPacketServerEvents> {
  readonly #acceptor: Acceptor;
  readonly #address: string | null;
  readonly #sockets = new Set<SequentialPacketSocket>();

  /** @internal */
  constructor(fd: number, address: string | null, options: SequentialPacketOptions, made?: () => () => void) {
    super();
    this.#address = address;
    this.#acceptor = new Acceptor(fd, {
      accepted: (connection, peer) => this.#accepted(connection, peer, options),
      failed: (error) => this.emit('error', error),
      closed: () => {
        closed?.();
        this.#closeIfDone();
      },
    });
    const closed = made?.();
    process.nextTick(() => this.listening && this.emit('listening'));
  }

  #accepted(fd: number, peer: string | null, options: SequentialPacketOptions): void {
    let socket: SequentialPacketSocket;
    try {
      socket = new SequentialPacketSocket(fd, peer, options);
    } catch (error) {
      binding().closeElsewhere(fd);
      this.emit('error', error as Error);
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#acceptor.freed();
      this.#closeIfDone();
    });
    this.emit('connection', socket);
  }

  #closeIfDone(): void {
    if (!this.listening && this.#sockets.size === 0) process.nextTick(() => this.emit('close'));
  }

  /** Whether it accepts connections. */
  get listening(): boolean {
    return this.#acceptor.open;
  }

  /** Its path, an abstract name with its NUL; null once it is closed. */
  address(): string | null {
    return this.listening ? this.#address : null;
  }

  /** How many connections are open, told to the callback in the next turn. */
  getConnections(callback: (error: Error | null, count: number) => void): void {
    process.nextTick(callback, null, this.#sockets.size);
  }

  /** Stops accepting; 'close' comes when the last connection has ended. The manager's copy goes on listening. */
  close(callback?: (error?: Error) => void): this {
    if (!this.listening) {
      if (callback) process.nextTick(callback, new ListenFdsError('LISTENFDS_CLOSED', 'The server is closed already'));
      return this;
    }
    if (callback) this.once('close', () => callback());
    this.#acceptor.close();
    return this;
  }

  /** Keeps the process alive while it listens; the default. */
  ref(): this {
    this.#acceptor.ref(true);
    return this;
  }

  /** Lets the process end although it listens. */
  unref(): this {
    this.#acceptor.ref(false);
    return this;
  }

  [Symbol.for('nodejs.asyncDispose')](): Promise<void> {
    return new Promise((resolve) => void this.close(() => resolve()));
  }
}

/** The options of connectSequentialPacket(). */
export const sequentialPacketOptions = {
  allowHalfOpen: { ...boolean, default: false },
  maxMessageSize,
} satisfies TableOf<SequentialPacketOptions>;

const { maxConnections, maxConnectionsPerSource, authorize: rule } = admissionOptions;

/** The options of listenSequentialPacket(). */
export const sequentialPacketTargetOptions = {
  ...commonOptions,
  ...ownerOptions,
  path,
  maxConnections,
  maxConnectionsPerSource,
  authorize: rule,
  backlog,
  ...bufferOptions,
  ...sequentialPacketOptions,
} satisfies TableOf<SequentialPacketTarget>;

const packetSpelling = {
  parse(text: string): Address & { kind: 'unix' } {
    const address = parseAddress(text);
    if (address.kind !== 'unix') throw badAddress(text, 'sequential packets need a path or an @name');
    return address;
  },
  ports: false,
  options: sequentialPacketTargetOptions,
};

const suitable: Suitable = {
  what: 'a listening seqpacket socket',
  is: (found) => found.listening && isUnix(found, 'seqpacket'),
};

/**
 * ListenSequentialPacket=: a server on the inherited unix sequential-packet listener, or on one bound to `target`. Which
 * one is taken is decided as in listen().
 *
 * @example
 * const { server } = await listenSequentialPacket('/run/app/control');
 * server.on('connection', (socket) => socket.on('data', (packet) => socket.write(packet)));
 *
 * @throws ListenFdsError; docs/errors.md has every code
 * @throws the error of binding, EADDRINUSE for example
 */
export async function listenSequentialPacket(
  given: string | SequentialPacketTarget,
): Promise<ServerEndpoint<SequentialPacketServer>> {
  const wanted = parseTarget(given, undefined, packetSpelling);
  const target: SequentialPacketTarget = typeof given === 'object' ? given : {};
  const { limits } = wanted;
  const limit = limits ? (await import('../admit/limits.js')).limit : null;
  const gated = (server: SequentialPacketServer): SequentialPacketServer => {
    gatekeeper(server);
    if (limits) limit!(server as never, limits);
    if (wanted.authorize !== null) authorize(server, wanted.authorize);
    return server;
  };
  const inherited = await takeInherited(wanted, suitable);
  if (inherited) {
    const loan = lend(inherited);
    const path = inherited.address as string | null;
    const made = (): (() => void) => onceGone(loan, wanted, () => fileOf(path, wanted.removeOnStop ?? true));
    try {
      return { server: gated(new SequentialPacketServer(loan.fd, path, target, made)), ...endpoint(inherited, path) };
    } catch (error) {
      cancel(loan);
      throw error;
    }
  }
  const { path } = wanted.address ?? noAddress();
  const { fd, listening, ended } = bindUnixSocket(SOCK.SEQPACKET, path, wanted);
  const remove = wanted.removeOnStop ?? true;
  try {
    setOptions(fd, { ReceiveBuffer: target.receiveBuffer, SendBuffer: target.sendBuffer });
    refuseDescriptors(fd); // before anybody can connect
    const result = binding().listenSocket(fd, wanted.node.backlog!);
    if (result < 0) throw systemError(result, 'listen', formatAddress(path));
    listening();
    const made = (): (() => void) => registerOwn(fd, wanted, (handedOver) => ended(remove && !handedOver));
    const server = new SequentialPacketServer(fd, path, target, made);
    return { server: gated(server), ...endpoint(null, path) };
  } catch (error) {
    binding().closeFd(fd);
    ended(true);
    throw error;
  }
}

/**
 * Connects to a sequential-packet listener, by its path or `@name`: the `address` of the result.
 *
 * @throws an Error with code ENOENT, ECONNREFUSED, or EAGAIN if the listener's queue is full
 */
export async function connectSequentialPacket(
  address: string,
  options?: SequentialPacketOptions,
): Promise<SocketEndpoint<SequentialPacketSocket>> {
  const read = readOptions(sequentialPacketOptions, options);
  const { path } = packetSpelling.parse(address);
  const fd = openSocket(AF.UNIX, SOCK.SEQPACKET);
  try {
    const result = binding().connectUnix(fd, pathBytes(path));
    if (result < 0) throw Object.assign(systemError(result, 'connect', formatAddress(path)), { address: path });
    return { socket: new SequentialPacketSocket(fd, path, read), ...endpoint(null, path) };
  } catch (error) {
    binding().closeFd(fd);
    throw error;
  }
}
