// ListenDatagram=: UDP is node:dgram's, a unix datagram socket ours.
import type { Socket as UdpSocket, SocketOptions } from 'node:dgram';
import { refuseDescriptors } from '../open/unix-path.js';
import type { AddressInfo } from 'node:net';
import { notifyOptions } from '../manager/notify.js';
import { fileOf, onceGone, register, registerOwn } from '../open/own.js';
import type { Suitable } from '../receive/choose.js';
import { SOCK, isUdp, isUnix } from '../receive/descriptor.js';
import { type Loan, cancel, lend } from '../receive/lent.js';
import { keptBy } from '../receive/origin.js';
import { binding, systemError } from '../system/addon.js';
import { net } from '../system/builtins.js';
import { ECONNREFUSED, ECONNRESET } from '../system/errnos.js';
import { ListenFdsError } from '../system/errors.js';
import { isClusterWorker } from '../system/process-role.js';
import { listenFds } from '../take/listen-fds.js';
import { type SocketEndpoint, endpoint } from '../take/endpoint.js';
import { takeInherited } from '../take/take.js';
import {
  type CommonTarget,
  type Wanted,
  commonOptions,
  ownerOptions,
  parseTarget,
  path,
  portOptions,
} from '../take/target.js';
import { type Address, badAddress, formatAddress, parseAddress } from '../text/address.js';
import { type TableOf, boolean, readOptions } from '../text/options.js';
import { noAddress } from './file-address.js';
import { Mailbox, type SendCallback, bytesOf, promised } from './mailbox.js';
import { type MessageCredentials, defaultMessageSize, maxMessageSize, sharedBatch } from './receive.js';
import { type BufferOptions, bindUnixSocket, bufferOptions, pathBytes, setOptions } from './unix.js';

/** The second argument of a 'message' listener. */
export interface DatagramInfo {
  /** The sender's path, an abstract name with its NUL; null for a sender without: it cannot be answered. */
  readonly path: string | null;
  /** The length as it was sent, in bytes. */
  readonly size: number;
  /** MSG_TRUNC: the message is only its first part; see maxMessageSize. */
  readonly truncated: boolean;
  /** MSG_CTRUNC: something that came beside the message is lost, descriptors for example (EMFILE). */
  readonly controlTruncated: boolean;
  /** If the socket has PassCredentials=. */
  readonly credentials?: MessageCredentials;
  /** Descriptors that came with it, if receiveFds is on: yours to close. */
  readonly fds?: readonly number[];
  /** The sender's security label, if the socket has PassSecurity=. */
  readonly label?: string;
  /** When the kernel got it, in ms since 1970 with a fraction, if the socket has Timestamping=. */
  readonly timestamp?: number;
}

/** Where to receive datagrams, and how. */
export interface DatagramTarget extends CommonTarget, BufferOptions {
  /** Of UDP. Without `host`: every address of this machine, both families. */
  port?: number | string;
  /** Of UDP. */
  host?: string;
  /** Of a unix datagram socket, instead of `address`. */
  path?: string;
  /** Broadcast= of a UDP socket we bind; an inherited one keeps its own. */
  broadcast?: boolean;
  /** ReusePort= of a UDP socket we bind; needs Node 22.12. */
  reusePort?: boolean;
  /** SO_REUSEADDR of a UDP socket we bind. */
  reuseAddr?: boolean;
  /** BindIPv6Only= of a UDP socket we bind. */
  ipv6Only?: boolean;
  /** PassCredentials= of a unix socket, inherited or not: `credentials` come with each message. */
  passCredentials?: boolean;
  /** PassSecurity= of a unix socket, inherited or not: `label` comes with each message if the kernel has labels. */
  passSecurity?: boolean;
  /** Timestamping= of a unix socket, inherited or not: `timestamp` comes with each message. */
  timestamping?: boolean;
  /**
   * Keep the descriptors that unix datagrams bring, as `fds`; the receiver closes them. Otherwise they are closed unseen.
   * @default false
   */
  receiveFds?: boolean;
  /**
   * The longest unix datagram that is received whole, in bytes.
   * @default 262144, more than a default SendBuffer= can send
   */
  maxMessageSize?: number;
}

/** Events of a {@link UnixDatagram}. */
export interface UnixDatagramEvents {
  /** One message, and what came with it. */
  message: [message: Buffer, info: DatagramInfo];
  /** connect() has succeeded. */
  connect: [];
  /** Reading failed: the socket has been closed. */
  error: [error: Error];
  /** The descriptor is closed. */
  close: [];
}

/** Options of {@link UnixDatagram.send}. */
export interface DatagramSendOptions {
  /** Descriptors to send along, at most 253. They must stay open until the message is sent. */
  fds?: readonly number[];
}

/** The options of {@link UnixDatagram.send}. */
export const datagramSendOptions = { fds: notifyOptions.fds } satisfies TableOf<DatagramSendOptions>;

interface UnixDatagramOptions {
  readonly fd: number;
  readonly path: string | null;
  readonly receiveFds: boolean;
  readonly maxMessageSize: number;
}

/**
 * A unix datagram socket in the shape of dgram.Socket. While nobody listens for 'message' nothing is read: senders wait
 * on the kernel's queue.
 */
export class UnixDatagram extends Mailbox<UnixDatagramEvents> {
  readonly #path: string | null;
  readonly #receiveFds: boolean;
  readonly #maxMessageSize: number;
  #peer: string | null = null;

  /** @internal */
  constructor({ fd, path, receiveFds, maxMessageSize }: UnixDatagramOptions) {
    super(fd, formatAddress(path));
    this.#path = path;
    this.#receiveFds = receiveFds;
    this.#maxMessageSize = maxMessageSize;
    sharedBatch().reserve(maxMessageSize);
  }

  /** Its path, an abstract name with its NUL; null if it has none. */
  address(): string | null {
    return this.#path;
  }

  /** The address that it is connected to. */
  remoteAddress(): string | null {
    return this.#peer;
  }

  protected override receive(deliver: (message: Buffer, about: unknown) => void): number {
    const batch = sharedBatch();
    const count = batch.receive(this.watcher, this.#maxMessageSize, this.#receiveFds);
    for (let i = 0; i < count; i++) {
      const message = batch.message(i);
      const path = batch.path(i);
      if (batch.isPlain(i)) {
        deliver(message, { path, size: message.length, truncated: false, controlTruncated: false });
        continue;
      }
      const fds = batch.fds(i, this.#receiveFds);
      const label = batch.label(i);
      const timestamp = batch.timestamp(i);
      const info: DatagramInfo = {
        path,
        size: batch.length(i),
        truncated: batch.isTruncated(i),
        controlTruncated: batch.isControlTruncated(i),
        ...(batch.hasCredentials(i) ? { credentials: batch.credentials(i) } : {}),
        ...(fds.length > 0 ? { fds } : {}),
        ...(label === null ? {} : { label }),
        ...(timestamp === null ? {} : { timestamp }),
      };
      deliver(message, info);
    }
    return count;
  }

  protected override isFull(count: number): boolean {
    return count === sharedBatch().size;
  }

  protected override discard(about: unknown): void {
    for (const fd of (about as DatagramInfo).fds ?? []) binding().closeElsewhere(fd);
  }

  /** An error of the peer of a connected socket; the socket goes on receiving. */
  protected override recovers(errno: number): boolean {
    if (errno !== ECONNREFUSED && errno !== ECONNRESET) return false;
    this.emit('error', systemError(errno, 'recvmsg', formatAddress(this.#peer)));
    return true;
  }

  /**
   * Sends one message to `path` (`@name` or a leading NUL for an abstract one), or to the peer of a connected socket.
   * Messages to one path stay in order; if its queue is full they wait for room, and only they, as
   * long as SendBuffer= has room: unread messages count there.
   *
   * Without a callback: a promise of the bytes sent, which fails with ECONNREFUSED if nobody is bound to the path any
   * more and with EMSGSIZE if the message is longer than SendBuffer= allows. Do not change the bytes before it settles.
   */
  send(message: string | Uint8Array | DataView, path?: string | null, options?: DatagramSendOptions): Promise<number>;
  send(message: string | Uint8Array | DataView, path: string | null | undefined, callback: SendCallback): void;
  send(
    message: string | Uint8Array | DataView,
    path: string | null | undefined,
    options: DatagramSendOptions | undefined,
    callback: SendCallback,
  ): void;
  send(
    message: string | Uint8Array | DataView,
    path?: string | null,
    options?: DatagramSendOptions | SendCallback,
    callback?: SendCallback,
  ): Promise<number> | void {
    const given = typeof options === 'function' ? options : callback;
    const { fds } = typeof options === 'object' ? readOptions(datagramSendOptions, options) : {};
    return promised(given, (done) => {
      const fd = this.fd;
      const data = bytesOf(message);
      const to = path === undefined || path === null ? null : pathBytes(path);
      const passed = fds && fds.length > 0 ? Int32Array.from(fds) : null;
      const send = (): number => binding().sendMessage(fd, data, to, passed);
      this.post(path ?? '', to === null, send, data.byteLength, done);
    }) as Promise<number>;
  }

  /** Sends to `path` from now on, and receives from nobody else. 'connect' follows. */
  connect(path: string, callback?: () => void): void {
    const result = binding().connectUnix(this.fd, pathBytes(path));
    if (result < 0) throw systemError(result, 'connect', formatAddress(path));
    this.#peer = path;
    if (callback) this.once('connect', callback);
    process.nextTick(() => this.emit('connect'));
  }

  /** Undoes connect(). The kernel drops messages that were received but not read, unix(7). */
  disconnect(): void {
    const result = binding().connectUnix(this.fd, null);
    if (result < 0) throw systemError(result, 'connect', formatAddress(this.#peer));
    this.#peer = null;
  }
}

/** The options of listenDatagram(). */
export const datagramOptions = {
  ...commonOptions,
  ...ownerOptions,
  path,
  ...portOptions,
  broadcast: boolean,
  reusePort: boolean,
  reuseAddr: boolean,
  ipv6Only: boolean,
  passCredentials: boolean,
  passSecurity: boolean,
  timestamping: boolean,
  receiveFds: { ...boolean, default: false },
  maxMessageSize,
  ...bufferOptions,
} satisfies TableOf<DatagramTarget>;

const datagramSpelling = {
  parse(text: string): Address & { kind: 'inet' | 'unix' } {
    const address = parseAddress(text);
    if (address.kind === 'vsock') throw badAddress(text, 'vsock has no datagrams here');
    return address;
  },
  ports: true,
  options: datagramOptions,
};

type DatagramAddress = ReturnType<typeof datagramSpelling.parse>;

const dgram = (): typeof import('node:dgram') => process.getBuiltinModule('node:dgram');

/** Waits for 'listening' after `bind`, which may also throw. */
function bound(socket: UdpSocket, bind: () => void): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      socket.close();
      reject(error);
    };
    socket.once('error', failed);
    socket.once('listening', () => {
      socket.off('error', failed);
      resolve(socket);
    });
    try {
      bind();
    } catch (error) {
      failed(error as Error);
    }
  });
}

async function adoptUdp({ inherited, fd, giveBack }: Loan, wanted: Wanted<DatagramAddress>): Promise<UdpSocket> {
  const { address } = inherited;
  if (typeof address !== 'object' || address === null) {
    throw new ListenFdsError('LISTENFDS_WRONG_KIND', `fd ${fd} is a UDP socket without an address`, { fd });
  }
  // The descriptor's own family, which dgram takes on trust.
  const socket = dgram().createSocket(address.family === 'IPv6' ? 'udp6' : 'udp4');
  // In a cluster worker a number is the primary's unless it says `exclusive`.
  const isOwn = !isClusterWorker() || listenFds().includes(inherited);
  socket.once('close', giveBack);
  await bound(socket, () => socket.bind({ fd, exclusive: isOwn }));
  const actual = socket.address();
  if (actual.port !== address.port || actual.address !== address.address) {
    socket.close();
    throw new ListenFdsError(
      'LISTENFDS_WRONG_SOCKET',
      `The socket is bound to ${formatAddress(actual as never)} instead of the inherited fd ${fd} at ${formatAddress(address)}`,
      { fd },
    );
  }
  if (keptBy(inherited.origin) === null) registerUdp(socket, wanted);
  return socket;
}

async function bindUdp(place: Address & { kind: 'inet' }, target: DatagramTarget): Promise<UdpSocket> {
  const { broadcast, reusePort, reuseAddr, ipv6Only, receiveBuffer, sendBuffer } = target;
  const options = {
    ...(reusePort === undefined ? {} : { reusePort }),
    ...(reuseAddr === undefined ? {} : { reuseAddr }),
    ...(ipv6Only === undefined ? {} : { ipv6Only }),
    ...(receiveBuffer === undefined ? {} : { recvBufferSize: receiveBuffer }),
    ...(sendBuffer === undefined ? {} : { sendBufferSize: sendBuffer }),
  };
  const open = async (type: 'udp4' | 'udp6', address: string | null): Promise<UdpSocket> => {
    const socket = dgram().createSocket({ type, ...options } as SocketOptions);
    const where = { port: place.port, exclusive: true, ...(address === null ? {} : { address }) };
    await bound(socket, () => socket.bind(where));
    if (broadcast) socket.setBroadcast(true);
    return socket;
  };
  if (place.host !== null) {
    const family = net.isIP(place.host.split('%')[0]!);
    if (family) return open(family === 6 ? 'udp6' : 'udp4', place.host);
    const found = await process.getBuiltinModule('node:dns/promises').lookup(place.host);
    return open(found.family === 6 ? 'udp6' : 'udp4', found.address);
  }
  try {
    return await open('udp6', null); // both families, as systemd and net.Server do
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL' && code !== 'EINVAL') throw error;
    return open('udp4', null);
  }
}

/** For an upgrade to pass on. dgram keeps its handle behind a symbol; its `_handle` warns. */
function registerUdp(socket: UdpSocket, wanted: Wanted<DatagramAddress>): void {
  const state = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  const { handle } = (socket as unknown as Record<symbol, { handle?: { fd?: number } }>)[state!] ?? {};
  socket.once('close', register(wanted, { fd: () => handle?.fd ?? null, handOver: () => {} }));
}

/** `made` is called once nothing can fail any more, and says what to do when the socket is closed. */
function unixDatagram(
  fd: number,
  path: string | null,
  target: DatagramTarget,
  made: (() => () => void) | null = null,
): UnixDatagram {
  const { receiveFds = false, maxMessageSize = defaultMessageSize } = target;
  setOptions(fd, {
    PassCredentials: target.passCredentials,
    PassSecurity: target.passSecurity,
    Timestamping: target.timestamping,
  });
  const socket = new UnixDatagram({ fd, path, receiveFds, maxMessageSize });
  if (made) socket.onceClosed(made());
  return socket;
}

function bindUnixDatagram(path: string, wanted: Wanted<DatagramAddress>, target: DatagramTarget): UnixDatagram {
  const { fd, ended } = bindUnixSocket(SOCK.DGRAM, path, wanted);
  try {
    setOptions(fd, { ReceiveBuffer: target.receiveBuffer, SendBuffer: target.sendBuffer });
    if (!target.receiveFds) refuseDescriptors(fd);
    const remove = wanted.removeOnStop ?? true;
    return unixDatagram(fd, path, target, () => registerOwn(fd, wanted, (handedOver) => ended(remove && !handedOver)));
  } catch (error) {
    binding().closeFd(fd);
    ended(true);
    throw error;
  }
}

const suitable: Suitable = { what: 'a dgram socket', is: (found) => isUdp(found) || isUnix(found, 'dgram') };

/** A datagram socket, and where it came from. */
export type DatagramEndpoint = SocketEndpoint<UdpSocket | UnixDatagram>;

function adoptUnix(loan: Loan, wanted: Wanted<DatagramAddress>, target: DatagramTarget): UnixDatagram {
  const { inherited, fd } = loan;
  const path = inherited.address as string | null;
  return unixDatagram(fd, path, target, () => onceGone(loan, wanted, () => fileOf(path, wanted.removeOnStop ?? true)));
}

/**
 * ListenDatagram=: the inherited datagram socket, or one bound to `target`. UDP is a dgram.Socket of the descriptor's own
 * family, with Broadcast= as it was; a unix datagram socket is a {@link UnixDatagram}. Which one is taken is decided as
 * in listen().
 *
 * @example
 * const { socket } = await listenDatagram('/run/app/log.sock');
 * socket.on('message', (message, { path }) => console.log(path, message.toString()));
 *
 * @throws ListenFdsError; docs/errors.md has every code
 * @throws the error of binding, EADDRINUSE for example
 */
export async function listenDatagram(given: number | string | DatagramTarget): Promise<DatagramEndpoint> {
  const wanted = parseTarget(given, undefined, datagramSpelling);
  const target: DatagramTarget = typeof given === 'object' ? given : {};
  const inherited = await takeInherited(wanted, suitable, { throughPrimary: true });
  if (inherited) {
    const loan = lend(inherited);
    try {
      const socket = isUdp(inherited.description) ? await adoptUdp(loan, wanted) : adoptUnix(loan, wanted, target);
      return { socket, ...endpoint(inherited, inherited.address) };
    } catch (error) {
      cancel(loan);
      throw error;
    }
  }
  const address = wanted.address ?? noAddress();
  if (address.kind === 'unix') {
    return { socket: bindUnixDatagram(address.path, wanted, target), ...endpoint(null, address.path) };
  }
  const socket = await bindUdp(address, target);
  registerUdp(socket, wanted);
  return { socket, ...endpoint(null, socket.address() as AddressInfo) };
}
