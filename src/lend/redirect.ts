// Puts a lender before the calls that open sockets: net.Server.prototype.listen, dgram.Socket.prototype.bind and, for
// workers of a cluster without round robin, the call by which the primary makes their handle.
import type { BindOptions, Socket as DatagramSocket } from 'node:dgram';
import type { AddressInfo, ListenOptions, Server } from 'node:net';
import type { InheritedFd } from '../receive/inherited.js';
import { net, path as paths } from '../system/builtins.js';
import { EADDRINUSE } from '../system/errnos.js';
import { type UvHandle, backlogToKeep, bindItself, handleOf, namePath } from '../system/node-server.js';
import { type Address, unixAddress } from '../text/address.js';
import type { Lender, Loan } from './lender.js';

/** What is heard of the servers that open a socket, lent or of their own. */
export interface Listener {
  opened(server: Server, loan: Loan | null): void;
  closed(server: Server): void;
  /** A loan that is in no server of this process: workers have it. */
  lent(): void;
}

interface Handle extends UvHandle {
  close(...args: unknown[]): unknown;
}

type Opening = ListenOptions & { fd?: number; [bindItself]?: true };

const internals = net as typeof net & {
  _normalizeArgs(args: unknown[]): [Opening, (() => void) | null];
  _createServerHandle(
    address: string | null,
    port: number | null,
    type: number | string | null,
    fd: number | null,
    flags?: number,
  ): Handle | number;
};

const streams = ['tcp', 'unix'] as const;

const isNumberedPort = (port: unknown): boolean =>
  (typeof port === 'number' && port > 0) || (typeof port === 'string' && /^0*[1-9][0-9]*$/.test(port));

function whenClosed(handle: Handle, then: () => void): void {
  const { close } = handle;
  handle.close = function (this: Handle, ...args) {
    handle.close = close;
    then();
    return Reflect.apply(close, this, args);
  };
}

/** Null for what is no address of the program's choice: any free port, a handle of its own. */
function chosenAddress({ port, host, path }: { port?: unknown; host?: unknown; path?: unknown }): Address | null {
  if (isNumberedPort(port))
    return { kind: 'inet', host: typeof host === 'string' && host ? host : null, port: Number(port) };
  if (port !== undefined && port !== null) return null;
  if (typeof path !== 'string' || path === '') return null;
  try {
    return unixAddress(path.startsWith('\0') ? path : paths.resolve(path), path);
  } catch {
    return null; // too long: for the system to say
  }
}

export function redirectStreams(lender: Lender, listener: Listener, byNumberOnly: boolean): void {
  const borrow = (options: Opening): Loan | null => {
    if (typeof options.fd === 'number') return lender.borrowFd(options.fd);
    const address = byNumberOnly || options[bindItself] ? null : chosenAddress(options);
    return address && lender.borrow(address, streams);
  };

  const { listen } = net.Server.prototype;
  type Positional = (this: Server, options: ListenOptions, backlog: number, callback?: () => void) => Server;
  const listenOn = listen as unknown as Positional;

  net.Server.prototype.listen = function (this: Server, ...args: unknown[]): Server {
    let loan: Loan | null = null;
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
        const own: object = { fd, ...(options.signal ? { signal: options.signal } : {}) };
        listenOn.call(this, own, backlogToKeep(inherited), callback ?? undefined);
        if (typeof inherited.address === 'string') namePath(this, inherited.address);
      }
    }
    if (!loan) Reflect.apply(listen, this, args);
    const opened = (): void => {
      const handle = handleOf<Handle>(this);
      if (!handle) return;
      listener.opened(this, loan);
      whenClosed(handle, () => {
        loan?.giveBack();
        listener.closed(this);
      });
    };
    if (handleOf(this)) opened();
    // With { fd } it has failed, and the error event is on its way.
    else if (loan && !lender.isWorker) loan.giveBack();
    // A host name is resolved first, and a cluster worker asks its primary.
    else this.once('listening', opened);
    return this;
  } as typeof listen;

  const create = internals._createServerHandle;
  internals._createServerHandle = function (address, port, type, fd, flags) {
    let loan: Loan | null;
    try {
      const place = port !== null && port >= 0 ? { port, host: address } : { path: address };
      loan = borrow((fd !== null && fd >= 0 ? { fd } : place) as Opening);
    } catch (error) {
      process.emitWarning(error as Error);
      return EADDRINUSE;
    }
    if (!loan) return create(address, port, type, fd, flags);
    const handle = create(null, null, null, loan.fd, flags);
    if (typeof handle === 'number') loan.giveBack();
    else whenClosed(handle, () => loan.giveBack());
    listener.lent();
    return handle;
  };
}

export function redirectDatagrams(lender: Lender, lent: () => void): void {
  const { Socket } = process.getBuiltinModule('node:dgram');
  type Bind = (this: DatagramSocket, ...args: unknown[]) => DatagramSocket;
  const bind = Socket.prototype.bind as unknown as Bind;
  const family = { udp4: 'IPv4', udp6: 'IPv6' } as const;

  Socket.prototype.bind = function (this: DatagramSocket & { type: 'udp4' | 'udp6' }, ...args: unknown[]) {
    const [first, second] = args;
    const options =
      typeof first === 'object' && first !== null
        ? (first as BindOptions)
        : { port: first as number, ...(typeof second === 'string' ? { address: second } : {}) };
    const { port, address: host, fd } = options as BindOptions & { fd?: number };
    const wanted = chosenAddress({ port, host });
    if (!wanted || fd !== undefined) return Reflect.apply(bind, this, args);
    // A udp4 socket would take a udp6 descriptor and misread every address.
    const isOfFamily = (one: InheritedFd): boolean => (one.address as AddressInfo).family === family[this.type];
    const loan = lender.borrow(wanted, ['udp'], isOfFamily);
    if (!loan) return Reflect.apply(bind, this, args);
    const callback = args.at(-1);
    this.once('close', loan.giveBack);
    this.once('listening', lent);
    if (lender.isWorker) {
      // Answered by the primary, and so as late as any other bind().
      bind.call(this, { fd: loan.fd }, ...(typeof callback === 'function' ? [callback] : []));
      return this;
    }
    // With { fd } it says 'listening' before it returns, which no caller of another bind() expects.
    const { emit } = this;
    this.emit = (event: string, ...rest: unknown[]) =>
      event === 'listening' || Reflect.apply(emit, this, [event, ...rest]);
    try {
      bind.call(this, { fd: loan.fd }, ...(typeof callback === 'function' ? [callback] : []));
    } catch (error) {
      loan.giveBack();
      throw error;
    } finally {
      delete (this as Partial<DatagramSocket>).emit;
    }
    process.nextTick(() => this.emit('listening'));
    return this;
  } as typeof Socket.prototype.bind;
}
