// The last response of a connection that is to end: it says `Connection: close`, and the client is read to the end of its
// request, whatever the response did not wait for.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { newestResponse } from '../admit/gate.js';
import { replaceMethod } from '../system/replace.js';

const patched = new WeakSet<ServerResponse>();
/** Connections on which `Connection: close` has been said. */
const closing = new WeakSet<Socket>();

const isConnection = (name: unknown): boolean => typeof name === 'string' && name.toLowerCase() === 'connection';

/** The forms in which writeHead() takes headers: an object, a flat array of names and values, an array of pairs. */
function replaceConnection(headers: unknown, add: boolean): unknown {
  if (!Array.isArray(headers)) {
    const kept = Object.entries(headers ?? {}).filter(([name]) => !isConnection(name));
    return Object.fromEntries(add ? [...kept, ['Connection', 'close']] : kept);
  }
  if (Array.isArray(headers[0])) {
    const kept = (headers as unknown[][]).filter(([name]) => !isConnection(name));
    return add ? [...kept, ['Connection', 'close']] : kept;
  }
  const kept = (headers as unknown[]).filter((_, i) => !isConnection(headers[i - (i % 2)]));
  return add ? [...kept, 'Connection', 'close'] : kept;
}

/** The arguments of writeHead() behind the status, with `Connection: close` in the place of any other. */
function sayClose(response: ServerResponse, rest: unknown[]): unknown[] {
  const reason = typeof rest[0] === 'string' ? [rest[0]] : [];
  const headers = reason.length > 0 ? rest[1] : (rest[1] ?? rest[0]);
  // Node merges what setHeader() has set with what writeHead() is given, and loses duplicates if there is both.
  const merges = response.getHeaderNames().length > 0;
  if (merges) response.setHeader('Connection', 'close');
  return [...reason, replaceConnection(headers, !merges)];
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/**
 * Node closes the connection behind a response that says close, and a client that is still sending its request gets
 * ECONNRESET instead of the response.
 */
function closeWhenRead(response: ServerResponse, request: IncomingMessage): void {
  (response as { _last?: boolean })._last = false;
  const close = (): void => {
    if (response.writableFinished && request.complete) request.socket.destroySoon();
  };
  response.once('finish', close);
  request.once('end', close).once('close', close);
}

/**
 * Makes a response the last of its connection, unless the client has pipelined another request behind it by the time its
 * head is written, or `mayStay` says then that the connection need not end. Node writes every head through writeHead(), so
 * this also wins over a `Connection: keep-alive` that a proxy copied from its upstream.
 */
export function endAfter(response: ServerResponse, mayStay: () => boolean): void {
  if (response.headersSent || patched.has(response)) return;
  patched.add(response);
  const writeHead = response.writeHead;
  const writeLast = function (this: ServerResponse, status: number, ...rest: unknown[]): ServerResponse {
    const { req } = this;
    if (newestResponse(req.socket) !== this || mayStay()) return Reflect.apply(writeHead, this, [status, ...rest]);
    closing.add(req.socket);
    Reflect.apply(writeHead, this, [status, ...sayClose(this, rest)]);
    if (!req.complete && hasBody(req)) closeWhenRead(this, req);
    return this;
  };
  replaceMethod(response, 'writeHead', writeLast);
}

/** RFC 9112, 9.6: no further request is processed on a connection on which `Connection: close` has been said. */
export function isEnding(socket: Socket): boolean {
  return closing.has(socket);
}
