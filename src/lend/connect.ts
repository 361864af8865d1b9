// A program that connects to its port to see whether somebody has it finds the manager's socket, on which nobody accepts yet.
// It gets the error that it would get without the manager.
import type { Socket, TcpSocketConnectOpts } from 'node:net';
import type { InheritedFd } from '../receive/inherited.js';
import { net } from '../system/builtins.js';
import { ECONNREFUSED } from '../system/errnos.js';
import { replaceMethod } from '../system/replace.js';
import { isLoopback } from '../text/address.js';

type Target = Partial<TcpSocketConnectOpts> & { path?: string };

function leadsTo({ address }: InheritedFd, { path, port, host }: Target): boolean {
  if (path !== undefined || address === null || typeof address === 'string')
    return path !== undefined && address === path;
  if (Number(port) !== address.port) return false;
  if (host === undefined || host === 'localhost' || host === address.address) return true;
  return host === '0.0.0.0' || host === '::' || isLoopback(host) === true; // to an address of any, it is this machine
}

/** Connections of this process to a socket that was passed, and that nobody in it listens on, are refused. */
export function refuseConnects(passed: readonly InheritedFd[]): void {
  const { connect } = net.Socket.prototype;
  replaceMethod(net.Socket.prototype, 'connect', function (this: Socket, ...args: unknown[]) {
    // net.connect() passes on normalized arguments, as an array in the place of the first argument.
    const [first] = (Array.isArray(args[0]) ? args[0] : args) as [unknown];
    const target: Target = typeof first === 'object' && first !== null ? first : positional(args);
    const found = passed.find((one) => one.listening && !one.taken && leadsTo(one, target));
    if (!found) return Reflect.apply(connect, this, args) as Socket;
    const where = target.path ?? `${target.host ?? 'localhost'}:${target.port}`;
    const error = Object.assign(new Error(`connect ECONNREFUSED ${where}`), {
      code: 'ECONNREFUSED',
      errno: ECONNREFUSED,
      syscall: 'connect',
      ...(target.path === undefined ? { address: target.host, port: Number(target.port) } : { address: target.path }),
    });
    process.nextTick(() => this.destroy(error));
    return this;
  });
}

function positional([first, second]: unknown[]): Target {
  if (typeof first === 'string' && !/^[0-9]+$/.test(first)) return { path: first };
  return { port: Number(first), ...(typeof second === 'string' ? { host: second } : {}) };
}
