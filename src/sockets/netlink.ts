// ListenNetlink=: messages of the kernel, netlink(7), and the content of those of kobject-uevent.
import { onceGone, registerOwn } from '../open/own.js';
import { AF, SOCK, netlinkFamilies } from '../receive/descriptor.js';
import { cancel, lend } from '../receive/lent.js';
import { binding, systemError } from '../system/addon.js';
import { ENOBUFS } from '../system/errnos.js';
import { type SocketEndpoint, endpoint } from '../take/endpoint.js';
import { takeInherited } from '../take/take.js';
import { type CommonTarget, commonOptions, parseTarget } from '../take/target.js';
import { badAddress, formatAddress } from '../text/address.js';
import { type TableOf, boolean, readOptions, whole } from '../text/options.js';
import { type TextAddress, noAddress } from './file-address.js';
import { Mailbox, type SendCallback, bytesOf, promised } from './mailbox.js';
import { type MessageCredentials, defaultMessageSize, sharedBatch } from './receive.js';
import { type BufferOptions, bufferOptions, openSocket, setOptions } from './unix.js';

/** Which family and groups, as in ListenNetlink=: `'kobject-uevent 1'`. */
export interface NetlinkTarget extends Omit<CommonTarget, 'mode' | 'user' | 'group' | 'removeOnStop'>, BufferOptions {
  /** PassCredentials=, inherited or not: `credentials` come with each message. */
  passCredentials?: boolean;
}

/** The second argument of a 'message' listener. */
export interface NetlinkInfo {
  /** The sender: 0 is the kernel, and nobody else can be 0. */
  readonly portId: number;
  /** The multicast group, a number (the first is 1); 0 for a message to us alone. */
  readonly group: number;
  /** The length as it was sent, in bytes. */
  readonly size: number;
  /** MSG_TRUNC: the message is only the first part. */
  readonly truncated: boolean;
  /** If the socket has PassCredentials=. */
  readonly credentials?: MessageCredentials;
  /** The content of a kobject-uevent message; null for any other. Read on access. */
  readonly uevent: Uevent | null;
}

/** The receiver of a message: the kernel by default. */
export interface NetlinkDestination {
  /**
   * The receiver's port id; 0 is the kernel.
   * @default 0
   */
  portId?: number;
  /**
   * The multicast groups that get it, as a mask.
   * @default 0
   */
  groups?: number;
}

const uint32 = { ...whole(0, 0xffffffff), default: 0 };

/** The options of {@link NetlinkSocket.send}. */
export const netlinkDestinationOptions = { portId: uint32, groups: uint32 } satisfies TableOf<NetlinkDestination>;

/** Events of a {@link NetlinkSocket}. */
export interface NetlinkEvents {
  /** One message, a struct nlmsghdr and the rest, and where it came from. */
  message: [message: Buffer, info: NetlinkInfo];
  /** ENOBUFS: the kernel dropped messages, since they were not read fast enough. State that was built from them is out of date. */
  overrun: [];
  /** Reading failed: the socket has been closed. */
  error: [error: Error];
  /** The descriptor is closed. */
  close: [];
}

/** Receives the messages of one family. While nobody listens for 'message' they stay in the kernel's queue. */
export class NetlinkSocket extends Mailbox<NetlinkEvents> {
  readonly #address: string;
  readonly #isUevent: boolean;

  /** @internal */
  constructor(fd: number, address: string) {
    super(fd, address);
    this.#address = address;
    this.#isUevent = address.startsWith('kobject-uevent ');
  }

  /** Family and groups, as in ListenNetlink=. */
  address(): string {
    return this.#address;
  }

  protected override receive(deliver: (message: Buffer, info: unknown) => void): number {
    const batch = sharedBatch();
    const count = batch.receive(this.watcher, defaultMessageSize, false);
    for (let i = 0; i < count; i++) {
      const message = batch.message(i);
      const isUevent = this.#isUevent;
      const { portId, groups } = batch.netlinkSender(i);
      const info: NetlinkInfo = {
        portId,
        // The mask has the first 32 groups only.
        group: batch.netlinkGroup(i) ?? (groups === 0 ? 0 : 32 - Math.clz32(groups)),
        size: batch.length(i),
        truncated: batch.isTruncated(i),
        ...(batch.hasCredentials(i) ? { credentials: batch.credentials(i) } : {}),
        get uevent() {
          return isUevent ? parseUevent(message) : null;
        },
      };
      deliver(message, info);
    }
    return count;
  }

  protected override isFull(count: number): boolean {
    return count === sharedBatch().size;
  }

  protected override recovers(errno: number): boolean {
    if (errno !== ENOBUFS) return false;
    this.emit('overrun');
    return true;
  }

  /**
   * Sends a message, by default to the kernel. Its bytes are as the family wants them: a struct nlmsghdr and the rest.
   *
   * @param to the receiver's port id, and the groups as a mask
   */
  send(message: string | Uint8Array | DataView, to?: NetlinkDestination): Promise<number>;
  send(message: string | Uint8Array | DataView, to: NetlinkDestination, callback: SendCallback): void;
  send(
    message: string | Uint8Array | DataView,
    to: NetlinkDestination = {},
    callback?: SendCallback,
  ): Promise<number> | void {
    return promised(callback, (done) => {
      const { fd } = this;
      const data = bytesOf(message);
      const { portId, groups } = readOptions(netlinkDestinationOptions, to);
      this.post('', true, () => binding().sendNetlink(fd, data, portId, groups), data.byteLength, done);
    }) as Promise<number>;
  }
}

/** An event of a device, netlink(7) NETLINK_KOBJECT_UEVENT. */
export interface Uevent {
  /** `add`, `remove`, `change`, `move`, `online`, `offline`, `bind`, `unbind`. */
  readonly action: string;
  /** Below /sys. */
  readonly devpath: string;
  /** Everything it says, ACTION, DEVPATH, SUBSYSTEM and SEQNUM among it. */
  readonly properties: Readonly<Record<string, string>>;
  /** The sender: the kernel, or udev when its rules have run. */
  readonly source: 'kernel' | 'udev';
}

/** struct udev_monitor_netlink_header: the magic number is in network order, the offsets are in the machine's. */
const udevMagic = 0xfeedcafe;

function udevProperties(message: Buffer): Buffer | null {
  if (message.length < 40 || message.readUInt32BE(8) !== udevMagic) return null;
  const start = message.readUInt32LE(16);
  return message.subarray(start, start + message.readUInt32LE(20));
}

/**
 * Reads one message of `kobject-uevent`: the kernel's (group 1) or udev's (group 2).
 *
 * Anybody with CAP_NET_ADMIN can send to the groups: believe the kernel's only if {@link NetlinkInfo.portId} is 0.
 *
 * @returns null if it is not such a message
 */
export function parseUevent(message: Buffer): Uevent | null {
  const fromUdev = message.toString('latin1', 0, 8) === 'libudev\0';
  const text = fromUdev ? udevProperties(message) : message;
  if (!text) return null;
  const lines = text.toString('utf8').split('\0');
  // The kernel begins with a line of its own, ACTION@DEVPATH.
  if (!fromUdev && !lines.shift()!.includes('@')) return null;
  const properties: Record<string, string> = {};
  for (const line of lines) {
    const equals = line.indexOf('=');
    if (equals > 0) properties[line.slice(0, equals)] = line.slice(equals + 1);
  }
  const { ACTION: action, DEVPATH: devpath } = properties;
  if (action === undefined || devpath === undefined) return null;
  return { action, devpath, properties, source: fromUdev ? 'udev' : 'kernel' };
}

/** The options of listenNetlink(). */
export const netlinkOptions = {
  ...commonOptions,
  ...bufferOptions,
  passCredentials: boolean,
} satisfies TableOf<NetlinkTarget>;

const netlinkSpelling = {
  parse(text: string): TextAddress {
    const [, family, groups = '0'] = /^([a-z0-9-]+)(?: +([0-9]+))?$/.exec(text) ?? [];
    if (family === undefined || protocolOf(family) === null || Number(groups) > 0xffffffff) {
      throw badAddress(text, 'it is not a netlink family, such as "route" or "kobject-uevent 1"');
    }
    return { kind: 'text' as const, text: `${family} ${Number(groups)}` };
  },
  ports: false,
  options: netlinkOptions,
};

function protocolOf(family: string): number | null {
  const known = Object.entries(netlinkFamilies).find(([, name]) => name === family);
  return known ? Number(known[0]) : null;
}

function openNetlink(text: string, { receiveBuffer, sendBuffer }: NetlinkTarget): number {
  const [family, groups] = text.split(' ');
  const fd = openSocket(AF.NETLINK, SOCK.RAW, protocolOf(family!)!);
  try {
    setOptions(fd, { ReceiveBuffer: receiveBuffer, SendBuffer: sendBuffer });
    const result = binding().bindNetlink(fd, Number(groups));
    if (result < 0) throw systemError(result, 'bind', text);
    return fd;
  } catch (error) {
    binding().closeFd(fd);
    throw error;
  }
}

/**
 * ListenNetlink=: the messages of the inherited netlink socket, or of one for `target`: a family and a mask of multicast
 * groups, as in the unit. Which one is taken is decided as in listen().
 *
 * @example
 * const { socket: devices } = await listenNetlink('kobject-uevent 1');
 * devices.on('message', (message, { portId, uevent }) => portId === 0 && console.log(uevent));
 *
 * @throws ListenFdsError; docs/errors.md has every code
 */
export async function listenNetlink(given: string | NetlinkTarget): Promise<SocketEndpoint<NetlinkSocket>> {
  const wanted = parseTarget(given, undefined, netlinkSpelling);
  const target: NetlinkTarget = typeof given === 'object' ? given : {};
  const inherited = await takeInherited(wanted, {
    what: 'a netlink socket',
    is: ({ family }) => family === 'netlink',
  });
  const text = inherited ? formatAddress(inherited.address) : (wanted.address ?? noAddress()).text;
  const loan = inherited && lend(inherited);
  const fd = loan ? loan.fd : openNetlink(text, target);
  try {
    setOptions(fd, { PassPacketInfo: true, PassCredentials: target.passCredentials });
    const socket = new NetlinkSocket(fd, text);
    socket.onceClosed(loan ? onceGone(loan, wanted, () => null) : registerOwn(fd, wanted, null));
    return { socket, ...endpoint(inherited, text) };
  } catch (error) {
    if (loan) cancel(loan);
    else binding().closeFd(fd);
    throw error;
  }
}
