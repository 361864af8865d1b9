// The typed binding to native/ and its loader. Failures come back as -errno.
import { fs } from './builtins.js';
import { EPFNOSUPPORT } from './errnos.js';
import { ListenFdsError } from './errors.js';
import { beside } from './here.js';

/** A kernel socket address; which fields are there depends on the family. */
export interface NativeAddress {
  family: number;
  address?: string;
  port?: number;
  path?: string | null;
  cid?: number;
  pid?: number;
  groups?: number;
}

/** The facts that native/facts.cc reads of a descriptor. */
export interface NativeFacts {
  fd: number;
  cloexec: boolean;
  mode: number;
  inode: number;
  deviceMajor: number;
  deviceMinor: number;
  // Sockets only.
  domain?: number;
  type?: number;
  protocol?: number;
  listening?: boolean;
  local?: NativeAddress | null;
  peer?: NativeAddress | null;
  reusePort?: boolean;
  ipv6Only?: boolean;
  backlog?: number;
  queued?: number;
  boundInode?: number;
  boundDeviceMajor?: number;
  boundDeviceMinor?: number;
  // The rest.
  readable?: boolean;
  writable?: boolean;
  messageQueue?: { maxMessages: number; messageSize: number; messages: number };
}

/** A poll of native/poll.cc, which owns its descriptor. */
export interface NativePoll {
  readonly poll: unique symbol;
}

/** The addon: functions and their arguments as in the table of native/addon.cc, which throws a TypeError at any other. */
export interface Binding {
  facts(fd: number): NativeFacts | number;
  setCloexec(fd: number, on: boolean): number;
  pidfdInode(pid: number): bigint | number;
  threadId(): number;
  mayListen(): boolean;
  duplicate(fd: number): number;
  userId(name: string): number | null;
  groupId(name: string): number | null;
  makeFifo(path: string, mode: number): number;
  createPoll(fd: number, callback: (events: number) => void): NativePoll | number;
  startPoll(poll: NativePoll, events: number): number;
  refPoll(poll: NativePoll, on: boolean): void;
  closePoll(poll: NativePoll): void;
  messageLayout(): { batch: number; nameSize: number; controlSize: number; fields: number };
  receiveMessages(
    fd: number,
    arena: Uint8Array,
    table: Int32Array,
    payloadSize: number,
    mostBytes: number,
    keepFds: boolean,
  ): number;
  sendMessage(fd: number, data: Uint8Array, path: Uint8Array | null, fds: Int32Array | null): number;
  sendNetlink(fd: number, data: Uint8Array, portId: number, groups: number): number;
  openSocket(domain: number, type: number, protocol: number): number;
  bindUnix(fd: number, path: Uint8Array): number;
  bindVsock(fd: number, cid: number, port: number): number;
  bindNetlink(fd: number, groups: number): number;
  connectUnix(fd: number, path: Uint8Array | null): number;
  listenSocket(fd: number, backlog: number): number;
  acceptSocket(fd: number): number;
  shutdownSocket(fd: number): number;
  setSocketOption(fd: number, name: string, value: number): number;
  openMessageQueue(name: string, mode: number, maxMessages: number, messageSize: number): number;
  unlinkMessageQueue(name: string): number;
  sendToMessageQueue(fd: number, data: Uint8Array, priority: number): number;
  receiveFromMessageQueue(fd: number, buffer: Uint8Array, priority: Uint32Array): number;
  readBytes(fd: number, buffer: Uint8Array): number;
  writeBytes(fd: number, data: Uint8Array): number;
  closeFd(fd: number): number;
  closeElsewhere(fd: number): void;
  replaceFd(from: number, to: number): number;
  notifyUnix(path: string, state: string, fds: Int32Array | null, pid: number): number;
  notifyVsock(cid: number, port: number, type: number, state: string): number;
  pipe(): [number, number] | number;
  /** Two ends that are connected to each other: unix sockets of type seqpacket, non-blocking. */
  socketPair(): [number, number] | number;
  socketType(fd: number): number;
  isListening(fd: number): boolean | number;
  socketName(fd: number): Buffer | number;
  numericAddress(text: string): Buffer | number;
  isMessageQueue(fd: number): boolean | number;
  peerCredentials(fd: number, out: Uint32Array, connection: boolean): number;
  peerLabel(fd: number, length: number): Buffer | number;
  peerPidfd(fd: number): number;
  bindInet(fd: number, host: string, port: number, reuseAddress: boolean): number;
  setNonblock(fd: number, on: boolean): number;
  startProcess(
    file: string,
    argv: readonly string[],
    env: readonly string[],
    fds: Int32Array,
    cwd: string | null,
    ownGroup: boolean,
    listenPid: boolean,
    highestFd: number,
  ): number;
  startGuardedProcess(...launch: Parameters<Binding['startProcess']>): Promise<{ pid: number; child: number } | number>;
  reapProcess(pid: number): { pid: number; code: number | null; signal: number | null } | null | number;
  becomeSubreaper(): number;
  borrowFd(pid: number, fd: number): number;
  listenerOwner(fd: number): { pid: number; uid: number; gid: number } | number;
}

// The shipped addon comes first: an installed package has no other. In a checkout `npm run build` removes it.
const places = [`../prebuilds/${process.platform}-${process.arch}/listenfds.node`, '../build/Release/listenfds.node'];

let loaded: Binding | ListenFdsError | undefined;

/** The error if nothing could be loaded. */
function noAddon(failures: readonly string[]): ListenFdsError {
  const tried = `The native addon cannot be loaded. Tried ${failures.join('; ')}`;
  // Node's words for --permission and --no-addons.
  if (failures.some((failure) => failure.includes('loading addons is disabled'))) {
    return new ListenFdsError('LISTENFDS_ADDONS_DISABLED', tried);
  }
  const quoted = (path: string): string => (/^[\w./-]*$/.test(path) ? path : `'${path}'`);
  const builder = beside('../native/build.js');
  const remedy = fs.existsSync(builder)
    ? `To build it: npm install --no-save node-addon-api@8 node-api-headers@1 && node ${quoted(builder)}`
    : `This is a bundle, and the addon is not in it: copy node_modules/listenfds/prebuilds to ${quoted(beside('../prebuilds'))}`;
  return new ListenFdsError('LISTENFDS_NO_ADDON', `${tried}. ${remedy}`);
}

function load(): Binding | ListenFdsError {
  const failures: string[] = [];
  for (const place of places) {
    const module: { exports: unknown } = { exports: {} };
    const file = beside(place);
    try {
      process.dlopen(module, file);
      return module.exports as Binding;
    } catch (error) {
      failures.push(`${file}: ${(error as Error).message}`);
    }
  }
  return noAddon(failures);
}

/**
 * The addon, loaded on first use: a program that nothing was passed to never pays for it.
 *
 * @throws ListenFdsError LISTENFDS_NO_ADDON, with every path tried
 */
export function binding(): Binding {
  loaded ??= load();
  if (loaded instanceof Error) throw loaded;
  return loaded;
}

/** The addon, or null if there is none for this platform: for calls that can do without. */
export function bindingIfAny(): Binding | null {
  loaded ??= load();
  return loaded instanceof Error ? null : loaded;
}

const unknownToLibuv: Partial<Record<number, [string, string]>> = {
  [EPFNOSUPPORT]: ['EPFNOSUPPORT', 'protocol family not supported'],
};

/** An error with the shape of Node's own: `code`, `errno` (negative), `syscall`. `errno` is negative here as well. */
export function systemError(errno: number, syscall: string, subject: string): NodeJS.ErrnoException {
  const [code, text] = process.getBuiltinModule('node:util').getSystemErrorMap().get(errno) ??
    unknownToLibuv[errno] ?? [`ERRNO_${-errno}`, `system error ${-errno}`];
  return Object.assign(new Error(`${code}: ${text}, ${syscall} ${subject}`), { code, errno, syscall });
}
