// Opens sockets as a .socket unit would: sockets that listen, and that nobody here accepts from.
import { AF, SOCK, describe } from '../receive/descriptor.js';
import { bindUnixSocket, openSocket } from '../sockets/unix.js';
import { binding, systemError } from '../system/addon.js';
import { finish } from '../open/unix-path.js';
import { fs, net } from '../system/builtins.js';
import { EEXIST } from '../system/errnos.js';
import { HeldFile } from '../system/files.js';
import { ownerOf } from '../system/users.js';
import { type Wanted, parseTarget } from '../take/target.js';
import { type Address, formatAddress } from '../text/address.js';
import { CommandError } from './command-line.js';
import type { PathOptions, SocketWish } from './socket-options.js';

export interface OpenSocket {
  readonly fd: number;
  readonly name: string;
  /** Its address, with the port it got. */
  readonly address: string;
  /** Whether connections can be accepted from it. */
  readonly listening: boolean;
  /** Unlinks its files; the descriptor is its watcher's. */
  remove(): void;
}

type Inet = Address & { kind: 'inet' };

const types = {
  ListenStream: SOCK.STREAM,
  ListenDatagram: SOCK.DGRAM,
  ListenSequentialPacket: SOCK.SEQPACKET,
} as const;

function bindInet(type: number, family: number, host: string, port: number): number {
  const fd = openSocket(family, type);
  // SO_REUSEADDR for TCP only: for UDP it would let two programs take turns with the datagrams.
  const result = binding().bindInet(fd, host, port, type === SOCK.STREAM);
  if (result === 0) return fd;
  binding().closeFd(fd);
  throw systemError(result, 'bind', formatAddress({ kind: 'inet', host, port }));
}

function openInet(type: number, { host, port }: Inet): number {
  if (host !== null) return bindInet(type, net.isIPv6(host) ? AF.INET6 : AF.INET, host, port);
  try {
    return bindInet(type, AF.INET6, '::', port); // both families, as systemd and net.Server do
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL') throw error;
    return bindInet(type, AF.INET, '0.0.0.0', port);
  }
}

function openVsock({ cid, port }: Address & { kind: 'vsock' }): number {
  const fd = openSocket(AF.VSOCK, SOCK.STREAM);
  const result = binding().bindVsock(fd, cid ?? 0xffffffff, port);
  if (result === 0) return fd;
  binding().closeFd(fd);
  throw systemError(result, 'bind', `vsock:${cid ?? ''}:${port}`);
}

interface Opened {
  readonly fd: number;
  /** To be called once it listens. */
  listening?(): void;
  remove(): void;
}

const nothing = (): void => {};

/** An abstract name has neither mode nor owner. */
function wantedAt(path: string, paths: PathOptions): Wanted {
  const said = Object.entries(paths).filter(([, value]) => value !== null && !path.startsWith('\0'));
  return parseTarget({ path, ...(Object.fromEntries(said) as Partial<Record<keyof PathOptions, string>>) });
}

/** Read-write, so that it never ends between two writers; as systemd opens it. */
function openFifo(path: string, paths: PathOptions): Opened {
  const wanted = wantedAt(path, paths);
  const { mode } = wanted;
  const result = binding().makeFifo(path, mode ?? 0o666 & ~process.umask());
  const made = result === 0;
  if (!made && result !== EEXIST) throw systemError(result, 'mkfifo', path);
  const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  const own = HeldFile.of(fd);
  if (own.stat.isFIFO()) {
    // The umask has taken its part of the mode.
    if (made) finish(own, ownerOf(wanted), mode ?? Number(own.stat.mode & 0o777n));
    return { fd, remove: () => void (made && own.removeAt(path)) };
  }
  fs.closeSync(fd);
  throw new CommandError(`${path} is there, and no FIFO`);
}

function openUnix(type: number, path: string, paths: PathOptions): Opened {
  const { ended, ...bound } = bindUnixSocket(type, path, wantedAt(path, paths));
  return { ...bound, remove: () => ended(true) };
}

function open({ directive, address }: SocketWish, paths: PathOptions): Opened {
  if (directive === 'ListenFIFO') return openFifo((address as Address & { kind: 'unix' }).path, paths);
  const type = types[directive];
  if (address.kind === 'unix') return openUnix(type, address.path, paths);
  const fd = address.kind === 'vsock' ? openVsock(address) : openInet(type, address);
  return { fd, remove: nothing };
}

function hintFor(code: string | undefined): string | null {
  if (code === 'EADDRINUSE') return 'ss -ltnp shows who has it';
  if (code === 'EACCES')
    return 'ports below net.ipv4.ip_unprivileged_port_start are for root, paths for who may write there';
  return null;
}

/** @throws CommandError */
export function openWish(wish: SocketWish, name: string, backlog: number, paths: PathOptions): OpenSocket {
  let opened: Opened | null = null;
  try {
    opened = open(wish, paths);
    const { fd } = opened;
    const listens = wish.directive === 'ListenStream' || wish.directive === 'ListenSequentialPacket';
    const result = listens ? binding().listenSocket(fd, backlog) : 0;
    if (result < 0) throw systemError(result, 'listen', wish.text);
    if (listens) opened.listening?.();
    const { address, listening } = describe(fd);
    return { ...opened, name, listening, address: formatAddress(address) };
  } catch (error) {
    if (opened) {
      opened.remove();
      binding().closeFd(opened.fd);
    }
    if (error instanceof CommandError) throw error;
    const { message, code } = error as NodeJS.ErrnoException;
    throw new CommandError(`${wish.text} cannot be opened: ${message}`, hintFor(code));
  }
}
