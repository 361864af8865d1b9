// What every side of the restart and upgrade benchmarks serves, with the defaults of each framework: Fastify on TCP, which
// has event streams and WebSockets as well, Express on a unix socket, and node:http2 without TLS on one of each, in the order
// of ListenStream= in the unit. mixed-load.js asks for what is answered here.
import { createServer as createHttp2Server } from 'node:http2';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import Fastify from 'fastify';
import { WebSocketServer } from 'ws';

function makeExpress() {
  const app = express();
  app.get('/', (_, response) => response.send('hello'));
  app.post('/', (request, response) => request.pipe(response));
  app.get('/slow/:ms', ({ params }, response) => setTimeout(() => response.send('slow'), Number(params.ms)));
  return app;
}

function makeFastify(streams) {
  const app = Fastify();
  app.addContentTypeParser('*', (_, payload, done) => done(null, payload));
  app.get('/', async () => 'hello');
  app.post('/', async ({ body }) => body);
  app.get('/slow/:ms', async ({ params }) => {
    await sleep(Number(params.ms));
    return 'slow';
  });
  app.get('/events', (_, reply) => {
    reply.hijack();
    streams.add(reply.raw);
  });
  return app;
}

/** Event streams and WebSockets, which end when they are told to. */
class Streams {
  #open = new Set();
  #sockets = null;
  #leaving = false;

  add(response) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (this.#leaving) return response.end();
    response.write('retry: 500\ndata: hello\n\n');
    const tick = setInterval(() => response.write('data: tick\n\n'), 1000);
    this.#open.add(response);
    response.once('close', () => {
      clearInterval(tick);
      this.#open.delete(response);
    });
  }

  webSockets(server) {
    this.#sockets = new WebSocketServer({ server, path: '/socket' });
    this.#sockets.on('connection', (socket) => {
      socket.on('error', () => {}).on('message', (text) => socket.send(text.toString()));
      if (this.#leaving) socket.close(1012);
    });
  }

  /** What a program does at the beginning of its end, whoever ends it. */
  leave() {
    this.#leaving = true;
    for (const response of this.#open) response.end();
    for (const socket of this.#sockets.clients) socket.close(1012);
  }
}

function answer(stream, headers) {
  const slow = /^\/slow\/(\d+)$/.exec(headers[':path']);
  stream.on('error', () => {}).respond({ ':status': 200 });
  if (slow) setTimeout(() => stream.end('slow'), Number(slow[1]));
  else if (headers[':method'] === 'POST') stream.pipe(stream);
  else stream.end('hello');
}

export async function makeServers() {
  const streams = new Streams();
  const fastify = makeFastify(streams);
  streams.webSockets(fastify.server);
  await fastify.ready();
  const rest = [makeExpress(), createHttp2Server().on('stream', answer), createHttp2Server().on('stream', answer)];
  return {
    /** What serve() takes. */
    apps: [fastify, ...rest],
    /** What everybody else does. */
    servers: [fastify.server, createServer(rest[0]), rest[1], rest[2]],
    /** Ends Fastify as its documentation says. */
    closeFastify: () => fastify.close(),
    leave: () => streams.leave(),
  };
}

/** Where the bench wants them: TCP, unix, TCP, unix. */
export const addresses = process.env.ADDRESSES?.split(' ') ?? [];
