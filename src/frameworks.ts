// app → net.Server. A framework is recognised by its shape; none is imported.
import type { RequestListener } from 'node:http';
import type { Server } from 'node:net';
import { net } from './builtins.js';
import { ListenFdsError } from './errors.js';

/** Koa's shape: something that makes a request listener. */
export interface CallbackApp {
  callback(): RequestListener;
}

/** Fastify's shape: a server of its own, and a listen() that runs hooks around the server's. */
export interface ServerApp {
  readonly server: unknown;
  ready(): unknown;
  inject: unknown;
  listen: unknown;
  close(): unknown;
}

/**
 * What people have in hand: a net, http, https, http2 or tls server, a `(req, res)` function, an Express, Koa or
 * Fastify application.
 */
export type App = Server | RequestListener | CallbackApp | ServerApp;

export interface AdaptedApp {
  readonly server: Server;
  /**
   * Brings the app to readiness and calls `open` at the moment its own listen() would have opened a socket.
   * Resolves when the server listens.
   */
  start(open: () => void): Promise<void>;
  /** Closes what is around the server, as the framework's own close() does: its hooks run. The server is closed already. */
  close(): Promise<void>;
}

function isServer(value: unknown): value is Server {
  return value instanceof net.Server;
}

function hasMethods<T extends string>(value: object, ...names: T[]): value is Record<T, (...args: never[]) => unknown> {
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}

function createHttpServer(listener: RequestListener): Server {
  // Loaded when needed: a program that brings its own server may not use node:http at all.
  return process.getBuiltinModule('node:http').createServer(listener);
}

function startServer(server: Server, open: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      server.off('listening', settle).off('error', settle);
      if (error) reject(error);
      else resolve();
    };
    server.on('listening', settle).on('error', settle);
    try {
      open();
    } catch (error) {
      settle(error as Error);
    }
  });
}

/**
 * Lets the framework's own listen() run, hooks, log lines and all, and puts `open` in the place of the one call to
 * server.listen() that it makes.
 */
async function startThrough(ownListen: () => unknown, server: Server, open: () => void): Promise<void> {
  const redirected = function (this: Server, ...args: unknown[]): Server {
    restore();
    const callback = args.at(-1);
    if (typeof callback === 'function') server.once('listening', callback as () => void);
    try {
      open();
    } catch (error) {
      process.nextTick(() => server.emit('error', error));
    }
    return server;
  };
  const restore = (): void => {
    delete (server as Partial<Server>).listen;
  };
  server.listen = redirected as Server['listen'];
  try {
    await ownListen();
  } finally {
    restore();
  }
}

/** Lets the framework's own close() run, and answers the one call to server.close() that it makes: that is done. */
async function closeThrough(ownClose: () => unknown, server: Server): Promise<void> {
  server.close = function (this: Server, callback?: (error?: Error) => void): Server {
    if (callback) process.nextTick(callback);
    return server;
  } as Server['close'];
  try {
    await ownClose();
  } finally {
    delete (server as Partial<Server>).close;
  }
}

function plain(server: Server): AdaptedApp {
  return { server, start: (open) => startServer(server, open), close: () => Promise.resolve() };
}

/** @throws ListenFdsError LISTENFDS_BAD_APP */
export function adaptApp(app: App): AdaptedApp {
  if (isServer(app)) return plain(app);
  if (typeof app === 'object' && app !== null) {
    if (hasMethods(app, 'ready', 'inject', 'listen') && 'server' in app && isServer(app.server)) {
      const { server } = app;
      // The host only keeps Fastify from its default, localhost, for which it opens a second server.
      const ownListen = (): unknown =>
        (app as ServerApp & { listen(options: object): unknown }).listen({ port: 0, host: '::' });
      return {
        server,
        start: (open) => startThrough(ownListen, server, open),
        close: () => closeThrough(() => (app as ServerApp).close(), server),
      };
    }
    if (hasMethods(app, 'callback')) return plain(createHttpServer((app as CallbackApp).callback()));
  }
  if (typeof app === 'function') return plain(createHttpServer(app as RequestListener));
  throw new ListenFdsError(
    'LISTENFDS_BAD_APP',
    `${app === null ? 'null' : `A ${typeof app}`} is no app that can listen`,
  );
}

/** The scheme people reach the server under, null where it speaks something else than HTTP. */
export function schemeOf(server: Server): 'http' | 'https' | null {
  if (!hasMethods(server, 'setTimeout')) return null; // net.Server and tls.Server lack it
  return hasMethods(server, 'setSecureContext') ? 'https' : 'http';
}
