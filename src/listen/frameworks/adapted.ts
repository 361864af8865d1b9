// An app as a server that can be opened and closed: hooks, log lines and all.

import type { Server } from 'node:net';
import { net } from '../../system/builtins.js';
import { ListenFdsError } from '../../system/errors.js';
import { replaceMethod } from '../../system/replace.js';
import type { RequestListener } from 'node:http';

export interface AdaptedApp {
  readonly server: Server;
  /**
   * Brings the app to readiness and calls `open` at the moment its own listen() would have opened a socket.
   * Resolves when the server listens.
   */
  start(open: () => void): Promise<void>;
  /**
   * Runs the hooks that the framework runs before it closes, if it has such: they end event streams, long polls and
   * WebSockets, which otherwise are waited for. close() does not run them again.
   */
  beforeClose(): Promise<void>;
  /**
   * Closes the app the way its own close() does, hooks and all, and the server with it. A server that is closing already
   * is waited for: hooks that come after its close() run when the last connection is gone.
   */
  close(): Promise<void>;
}

export function isServer(value: unknown): value is Server {
  if (value instanceof net.Server) return true;
  // Bun's http server is not one.
  const named = value as Partial<Server> | null | undefined;
  return typeof named?.listening === 'boolean' && hasMethods(named, 'listen', 'close', 'address', 'on');
}

export function hasMethods<T extends string>(
  value: object,
  ...names: T[]
): value is Record<T, (...args: never[]) => unknown> {
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}

export function createHttpServer(listener?: RequestListener): Server {
  // Loaded when needed: a program that brings its own server may not use node:http at all.
  return process.getBuiltinModule('node:http').createServer(listener);
}

function untilListening(server: Server, open: () => void, failed: (error: Error) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      server.off('listening', settle).off('error', settle).off('close', closed);
      if (error) reject(error);
      else resolve();
    };
    // By an AbortSignal, for example: then neither of the others comes.
    const closed = (): void => {
      if (server.listening) return; // it is an earlier close() that is told
      settle(new ListenFdsError('LISTENFDS_CLOSED', 'The server was closed before it listened'));
    };
    server.on('listening', settle).on('error', settle).on('close', closed);
    try {
      open();
    } catch (error) {
      settle(error as Error);
      failed(error as Error);
    }
  });
}

const nobody = (): void => {};

function startServer(server: Server, open: () => void): Promise<void> {
  return untilListening(server, open, nobody);
}

/**
 * Lets the framework's own listen() run, hooks, log lines and all, and puts `open` in the place of the one call to
 * server.listen() that it makes. One that makes none (Hapi with autoListen: false) is opened when it is ready.
 */
async function startThrough(ownListen: () => unknown, server: Server, open: () => void): Promise<void> {
  let opened = false;
  let restore = nobody;
  const listening = new Promise<void>((resolve, reject) => {
    restore = replaceMethod(server, 'listen', (...args: unknown[]): Server => {
      opened = true;
      restore();
      const callback = args.at(-1);
      if (typeof callback === 'function') server.once('listening', callback as () => void);
      // The framework gets the event that its listen() would have caused.
      const tell = (error: Error): void =>
        process.nextTick(() => server.listenerCount('error') > 0 && server.emit('error', error));
      untilListening(server, open, tell).then(resolve, reject);
      return server;
    });
  });
  // Some frameworks wait for their server to listen and some do not, some reject when it fails and some never return.
  const own = (async () => {
    await ownListen();
    if (opened) return listening;
    restore();
    await startServer(server, open);
  })();
  try {
    await Promise.race([own, listening.then(() => own)]);
  } finally {
    restore();
  }
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/**
 * Lets the framework's own close() run. A server that somebody else has closed gets an error for its second close(),
 * which some frameworks pass on and others take for "all connections are gone"; here it waits for that instead.
 */
async function closeThrough(ownClose: () => unknown, server: Server, isClosed: () => boolean): Promise<void> {
  if (server.listening) {
    await ownClose();
    return;
  }
  const restore = replaceMethod(server, 'close', (callback?: unknown): Server => {
    if (typeof callback !== 'function') return server;
    if (isClosed()) process.nextTick(callback as () => void);
    else server.once('close', () => callback());
    return server;
  });
  try {
    await ownClose();
  } finally {
    restore();
  }
}

/** How a framework opens its server and closes itself. */
export interface FrameworkHooks {
  /** Its own listen(), which somewhere calls server.listen(); absent if it only makes a listener. */
  listen?: () => unknown;
  /** What has to be done before its server can be opened, if it has no listen() of its own. */
  prepare?: () => unknown;
  /** Runs its pre-close hooks, and keeps its close() from running them again. */
  beforeClose?: () => unknown;
  /** Its own close(), which somewhere calls server.close(). */
  close?: () => unknown;
}

export function adapted(server: Server, hooks: FrameworkHooks = {}): AdaptedApp {
  const { listen, prepare, beforeClose, close } = hooks;
  let closed = false;
  server.once('close', () => (closed = true));
  return {
    server,
    async start(open) {
      if (listen) return startThrough(listen, server, open);
      if (prepare) await prepare();
      return startServer(server, open);
    },
    async beforeClose() {
      await beforeClose?.();
    },
    async close() {
      if (close) await closeThrough(close, server, () => closed);
      if (server.listening) await closeServer(server);
    },
  };
}

/** The scheme people reach the server under, null if it speaks something else than HTTP. */
export function schemeOf(server: Server): 'http' | 'https' | null {
  if (!hasMethods(server, 'setTimeout')) return null; // net.Server and tls.Server lack it
  return hasMethods(server, 'setSecureContext') ? 'https' : 'http';
}
