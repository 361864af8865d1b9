// app → net.Server. A framework is recognised by its shape; none is imported.
import type { RequestListener } from 'node:http';
import type { Server } from 'node:net';
import { ListenFdsError } from '../../system/errors.js';
import { type AdaptedApp, adapted, createHttpServer, hasMethods, isServer } from './adapted.js';

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
 * The rest, which shapes.ts knows: Hapi (`listener`), Nest (`getHttpServer`), restify and polka (`server`,
 * `listen`), srvx and h3 (`node`, `serve`), socket.io (`httpServer`), Next.js (`prepare`, `getRequestHandler`).
 */
export type OtherApp =
  | { readonly listener: unknown; start(): unknown; stop(): unknown }
  | { getHttpServer(): unknown; init(): unknown; listen: unknown; close(): unknown }
  | { readonly server: unknown; listen: unknown; close(): unknown }
  | { readonly handler: unknown; listen: unknown; use: unknown }
  | { readonly node?: unknown; serve(): unknown; ready(): unknown; close(): unknown }
  | { readonly httpServer: unknown; of: unknown; close: unknown }
  | { prepare(): Promise<unknown>; getRequestHandler(): unknown };

/**
 * What people have in hand: a net, http, https, http2 or tls server, a `(req, res)` function, an application of Express,
 * Koa, Fastify, Hapi, Nest, restify, polka, srvx, h3, tRPC, socket.io or Next.js. docs/frameworks.md has a line for each.
 */
export type App = Server | RequestListener | CallbackApp | ServerApp | OtherApp;

/** A promise if the app is of a kind that is rare enough to be looked up in a room of its own. */
export function adaptApp(app: App): AdaptedApp | Promise<AdaptedApp> {
  if (isServer(app)) return adapted(app);
  if (typeof app === 'object' && app !== null) {
    if (hasMethods(app, 'ready', 'inject', 'listen', 'close') && 'server' in app && isServer(app.server)) {
      const fastify = app as unknown as { listen(options: object): unknown; close(): unknown };
      return adapted(app.server, {
        // The host only keeps Fastify from its default, localhost, for which it opens a second server.
        listen: () => fastify.listen({ port: 0, host: '::' }),
        beforeClose: () => import('./close-hooks.js').then(({ runFastifyPreClose }) => runFastifyPreClose(fastify)),
        close: () => fastify.close(),
      });
    }
    if (hasMethods(app, 'callback')) return adapted(createHttpServer((app as CallbackApp).callback()));
    return import('./shapes.js').then(({ adaptOther }) => adaptOther(app));
  }
  if (typeof app === 'function') return adapted(createHttpServer(app as RequestListener));
  throw new ListenFdsError('LISTENFDS_BAD_APP', `${app === null ? 'null' : `A ${typeof app}`} cannot listen`);
}
