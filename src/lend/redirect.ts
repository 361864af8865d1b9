// Puts a lender before the calls that open sockets: net.Server.prototype.listen, dgram.Socket.prototype.bind and, for
// workers of a cluster without round robin, the call by which the primary makes their handle.
import type { BindOptions, Socket as DatagramSocket } from 'node:dgram';
import type { AddressInfo, ListenOptions, Server } from 'node:net';
import { type Description, isNodeStream, isUdp } from '../receive/descriptor.js';
import type { Loan } from '../receive/lent.js';
import { net, path as paths } from '../system/builtins.js';
import { EADDRINUSE } from '../system/errnos.js';
import {
  type UvHandle,
  backlogToKeep,
  bindItself,
  handleOf,
  mayListen,
  nameAddress,
  whenClosed,
} from '../system/node-server.js';
import { replaceMethod } from '../system/replace.js';
import { type Address, unixAddress } from '../text/address.js';
import { type ListenOn, acceptAlso, listenBy } from './also.js';
import type { Lender } from './lender.js';

/** What is heard of the servers that open a socket, lent or of their own. */
export interface Listener {
  opened(server: Server, loan: Loan | null): void;
  closed(server: Server): void;
  /** A loan that is in no server of this process: workers have it. */
  lent(): void;
  /** Has a server accept on a loan if listen(2) is forbidden; it listens later. `address` is the one that it reports. */
  accept?(server: Server, loan: Loan, address?: AddressInfo | string | null, signal?: AbortSignal): void;
}

interface Handle extends UvHandle {
  close(...args: unknown[]): unknown;
}

type Opening = ListenOptions & { fd?: number; _handle?: unknown; handle?: unknown; [bindItself]?: true };

const internals = net as typeof net & {
  _normalizeArgs(args: unknown[]): [Opening, (() => void) | null];
  _createServerHandle(
    address: string | null,
    port: number | null,
    type: number | string | null,
    fd: number | null,
    ...more: unknown[]
  ): Handle | number;
};

/** As node:net reads it; null for a port that it refuses, and for 0, which means any. */
function numberedPort(port: unknown): number | null {
  if (typeof port !== 'number' && (typeof port !== 'string' || port.trim() === '')) return null;
  const number = Number(port);
  return Number.isInteger(number) && number > 0 && number <= 0xffff ? number : null;
}

/** Null for any free port, a handle of the program's own, and arguments that node:net refuses. */
function chosenAddress(options: { port?: unknown; host?: unknown; path?: unknown }): Address | null {
  const { host, path } = options;
  const port = numberedPort(options.port);
  if (port !== null) return { kind: 'inet', host: typeof host === 'string' && host ? host : null, port };
  // For node:net a port goes before a path, and one that is there but undefined means any.
  if ('port' in options) return null;
  if (typeof path !== 'string' || path === '') return null;
  try {
    return unixAddress(path.startsWith('\0') ? path : paths.resolve(path), path);
  } catch {
    return null; // too long: for the system to say
  }
}

/** A program that asked for a port reads `address().port`, also if it was lent a unix socket: it gets the port it asked for. */
function shownAddress({ port: given, host }: Opening, path: string): AddressInfo | string {
  const port = numberedPort(given);
  if (port === null) return path;
  const address = host && net.isIP(host) ? host : host ? '127.0.0.1' : '::';
  return { address, family: net.isIPv6(address) ? 'IPv6' : 'IPv4', port };
}

export function redirectStreams(lender: Lender, listener: Listener, byNumberOnly: boolean): void {
  const borrow = (options: Opening): Loan | null => {
    if (options._handle || options.handle) return null;
    if (typeof options.fd === 'number') return lender.borrowFd(options.fd);
    const address = byNumberOnly || options[bindItself] ? null : chosenAddress(options);
    return address && lender.borrow(address, isNodeStream);
  };

  const { listen } = net.Server.prototype;
  const listenOn = listen as unknown as ListenOn;

  const watched = new WeakSet<Handle>();
  const listenOrBorrow = function (this: Server, ...args: unknown[]): Server {
    let loan: Loan | null = null;
    let accept: Listener['accept'];
    if (!handleOf(this)) {
      const [options, callback] = internals._normalizeArgs(args);
      try {
        loan = borrow(options);
      } catch (error) {
        process.nextTick(() => this.emit('error', error));
        return this;
      }
      if (loan) {
        const { inherited, fd } = loan;
        // For node:net a number goes before all else. The program's own request stays: the channel net.server.listen
        // publishes it.
        const own = { ...options, fd, ...(options.signal ? { signal: options.signal } : {}) };
        const shown = typeof inherited.address === 'string' ? shownAddress(options, inherited.address) : null;
        if (!lender.isWorker && !mayListen()) accept = listener.accept;
        try {
          if (!accept) listenOn.call(this, own, backlogToKeep(inherited), callback ?? undefined);
        } catch (error) {
          loan.giveBack();
          throw error;
        }
        if (accept) {
          if (callback) this.once('listening', callback);
          accept(this, loan, shown, options.signal);
        } else if (shown !== null) nameAddress(this, shown);
      }
    }
    if (!loan) Reflect.apply(listen, this, args);
    const opened = (): void => {
      const handle = handleOf<Handle>(this);
      if (!handle || watched.has(handle)) return;
      watched.add(handle);
      if (loan) acceptAlso(this, lender.borrowTwins(loan), accept ?? listenBy(listenOn));
      listener.opened(this, loan);
      whenClosed(handle, () => {
        loan?.giveBack();
        listener.closed(this);
      });
    };
    if (handleOf(this) && !accept) opened();
    // With { fd } it has failed, and the error event is on its way.
    else if (loan && !lender.isWorker && !accept) loan.giveBack();
    else {
      // A host name is resolved first, and a cluster worker asks its primary.
      this.once('listening', opened);
      this.once('close', () => this.off('listening', opened));
    }
    return this;
  };
  replaceMethod(net.Server.prototype, 'listen', listenOrBorrow);

  const create = internals._createServerHandle;
  const createOrBorrow: typeof create = (address, port, type, fd, ...more) => {
    let loan: Loan | null;
    try {
      const place = port !== null && port >= 0 ? { port, host: address } : { path: address };
      loan = borrow((fd !== null && fd >= 0 ? { fd } : place) as Opening);
    } catch (error) {
      process.emitWarning(error as Error);
      return EADDRINUSE;
    }
    if (!loan) return create(address, port, type, fd, ...more);
    const handle = create(null, null, null, loan.fd, ...more);
    if (typeof handle === 'number') loan.giveBack();
    else whenClosed(handle, () => loan.giveBack());
    listener.lent();
    return handle;
  };
  replaceMethod(internals, '_createServerHandle', createOrBorrow);
}

/** Once closed, a socket cannot say where it is bound. */
function isOpen(socket: DatagramSocket): boolean {
  try {
    socket.address();
    return true;
  } catch {
    return false;
  }
}

export function redirectDatagrams(lender: Lender, lent: () => void): void {
  const { Socket } = process.getBuiltinModule('node:dgram');
  type Bind = (this: DatagramSocket, ...args: unknown[]) => DatagramSocket;
  const bind = Socket.prototype.bind as unknown as Bind;
  const family = { udp4: 'inet', udp6: 'inet6' } as const;

  const bindOrBorrow = function (this: DatagramSocket & { type: 'udp4' | 'udp6' }, ...args: unknown[]): DatagramSocket {
    const [first, second] = args;
    const options =
      typeof first === 'object' && first !== null
        ? (first as BindOptions)
        : { port: first as number, ...(typeof second === 'string' ? { address: second } : {}) };
    const { port, address: host, fd } = options as BindOptions & { fd?: number };
    const wanted = chosenAddress({ port, host });
    if (!wanted || fd !== undefined) return Reflect.apply(bind, this, args);
    // A udp4 socket would take a udp6 descriptor and misread every address.
    const isOfFamily = (found: Description): boolean => isUdp(found) && found.family === family[this.type];
    const loan = lender.borrow(wanted, isOfFamily);
    if (!loan) return Reflect.apply(bind, this, args);
    const callback = args.filter((one) => typeof one === 'function').slice(-1);
    this.once('close', loan.giveBack);
    this.once('listening', lent);
    if (lender.isWorker) {
      // Answered by the primary, and so as late as any other bind().
      bind.call(this, { fd: loan.fd }, ...callback);
      return this;
    }
    // With { fd } it says 'listening' before it returns, which no caller of another bind() expects.
    const { emit } = this;
    const restore = replaceMethod(
      this,
      'emit',
      (event: string, ...rest: unknown[]) => event === 'listening' || Reflect.apply(emit, this, [event, ...rest]),
    );
    try {
      bind.call(this, { fd: loan.fd }, ...callback);
    } catch (error) {
      loan.giveBack();
      throw error;
    } finally {
      restore();
    }
    process.nextTick(() => {
      if (isOpen(this)) this.emit('listening');
    });
    return this;
  };
  replaceMethod(Socket.prototype, 'bind', bindOrBorrow);
}
