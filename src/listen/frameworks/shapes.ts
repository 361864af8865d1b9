// The frameworks that are not common enough for the core, by shape. Loaded when listen() is given one of them.
import type { RequestListener } from 'node:http';
import type { Server } from 'node:net';
import { ListenFdsError } from '../../system/errors.js';
import { type AdaptedApp, adapted, createHttpServer, hasMethods, isServer } from './adapted.js';
import { runHapiPreStop, runOnce } from './close-hooks.js';

type Shape = (app: object) => AdaptedApp | null;

/** Methods that an app was seen to have. */
type Methods<T extends string> = Record<T, (...args: unknown[]) => unknown>;

function method<T extends string>(app: object, ...names: T[]): Methods<T> | null {
  return hasMethods(app, ...names) ? (app as Methods<T>) : null;
}

function property(app: object, name: string): unknown {
  return (app as Record<string, unknown>)[name];
}

// Before the others: a Nest application is a proxy that shows its adapter's methods as its own.
const nest: Shape = (app) => {
  const own = method(app, 'getHttpServer', 'getHttpAdapter', 'init', 'listen', 'close');
  const server = own?.getHttpServer();
  if (!own || !isServer(server)) return null;
  // The host is for Nest on Fastify, whose default is a second server for localhost.
  return adapted(server, {
    listen: () => own.listen(0, '::'),
    beforeClose: () => runOnce(app, 'callDestroyHook', 'callBeforeShutdownHook'),
    close: () => own.close(),
  });
};

const hapi: Shape = (app) => {
  const own = method(app, 'start', 'stop', 'route');
  const listener = property(app, 'listener');
  if (!own || !isServer(listener)) return null;
  return adapted(listener, {
    listen: () => own.start(),
    beforeClose: () => runHapiPreStop(property(app, '_core')),
    close: () => own.stop(),
  });
};

// restify, polka with a server of its own, tRPC 10: a server, and a listen() that hands its arguments on.
const wrapper: Shape = (app) => {
  const own = method(app, 'listen');
  const server = property(app, 'server');
  if (!own || !isServer(server)) return null;
  // Their close(), if there is one, only closes the server.
  return adapted(server, { listen: () => own.listen(0) });
};

// polka makes its server in listen() unless it has one.
const polka: Shape = (app) => {
  const own = method(app, 'listen', 'handler', 'use');
  if (!own || !('server' in app) || app.server !== undefined) return null;
  const server = createHttpServer();
  app.server = server;
  return adapted(server, { listen: () => own.listen(0) });
};

// srvx, and h3 and others that serve through it. With manual: true it waits for serve().
const srvx: Shape = (app) => {
  const own = method(app, 'serve', 'ready', 'close');
  const server = (property(app, 'node') as { server?: unknown } | undefined)?.server;
  if (!own || !isServer(server)) return null;
  const listen = async (): Promise<void> => {
    await own.serve();
    await own.ready();
  };
  return adapted(server, { listen, close: () => own.close() });
};

const socketIo: Shape = (app) => {
  const own = method(app, 'of', 'attach', 'close');
  const server = property(app, 'httpServer');
  if (!own || !isServer(server)) return null;
  // Its clients connect again, to whoever listens then.
  const beforeClose = (): unknown => method(property(app, 'engine') as object, 'close')?.close();
  return adapted(server, { beforeClose, close: () => own.close() });
};

const next: Shape = (app) => {
  const own = method(app, 'prepare', 'getRequestHandler');
  if (!own) return null;
  const server: Server = createHttpServer();
  const prepare = async (): Promise<void> => {
    await own.prepare();
    server.on('request', own.getRequestHandler() as RequestListener);
    const upgrade = method(app, 'getUpgradeHandler')?.getUpgradeHandler();
    if (typeof upgrade === 'function') server.on('upgrade', upgrade as () => void);
  };
  const close = method(app, 'close');
  return adapted(server, { prepare, ...(close ? { close: () => close.close() } : {}) });
};

// Next.js comes first: its other properties throw until it is prepared.
const shapes: readonly Shape[] = [next, nest, hapi, socketIo, srvx, wrapper, polka];

/** @throws ListenFdsError LISTENFDS_BAD_APP */
export function adaptOther(app: object): AdaptedApp {
  for (const shape of shapes) {
    const result = shape(app);
    if (result) return result;
  }
  const hint = hasMethods(app, 'fetch')
    ? 'has a fetch() but no Node.js server: make one with createAdaptorServer() of @hono/node-server or serve() of srvx and manual: true'
    : 'is neither a server nor a known framework';
  throw new ListenFdsError('LISTENFDS_BAD_APP', `The ${app.constructor?.name ?? 'object'} given ${hint}`);
}
