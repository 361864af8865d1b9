// The load of the restart and upgrade benchmarks: clients of every kind at once, over TCP and unix sockets, each request
// timed and each failure kept. In a process of its own; main.js never runs it, startLoad() does.
//
// The clients are correct ones: they reuse no connection that said `Connection: close`, heed `Keep-Alive: timeout=`, open
// another when they find one closed, and open no stream after a GOAWAY. They never try again: what fails is lost.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { connect } from 'node:net';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { EventStreamClient, WebSocketClient } from './stream-clients.js';

/** Clients of a kind per address, what each asks for in turn, and how long it waits in between: ms, from and to. */
const kinds = {
  'new connection': { clients: 2, think: [10, 40], asks: ['get', 'post'], keepAlive: false },
  'keep-alive': { clients: 3, think: [10, 50], asks: ['get', 'post', 'post slowly'], keepAlive: true },
  '20 ms': { clients: 2, think: [0, 60], asks: ['slow 20'], keepAlive: true },
  '200 ms': { clients: 2, think: [0, 50], asks: ['slow 200'], keepAlive: true },
  'now and then': { clients: 6, think: [500, 4000], asks: ['get', 'post'], keepAlive: true },
  'HTTP/2': { clients: 2, think: [10, 50], asks: ['get', 'post', 'slow 20'], keepAlive: true },
};

/** Browsers and proxies: connections that are idle nearly all the time. */
const idle = { clients: 100, think: [1_000, 30_000], asks: ['get'], keepAlive: true, kept: true };
/** Of each, where the target has them. */
const streams = 20;

/**
 * @typedef {object} Load
 * @property {() => Promise<Request[]>} stop  ends it and resolves with all requests
 * @typedef {object} Request
 * @property {number} at  when it began, ms since the epoch
 * @property {number} ms  until the last byte, or the failure
 * @property {number} own  what of that the handler was told to take
 * @property {string} kind
 * @property {number} refused  how often its HTTP/2 stream was refused, and asked for again
 * @property {string | null} error
 * @property {boolean | null} kept  whether the connection was still open, of one that the server had promised to keep
 */

/**
 * @param {{ tcp: string, unix: string | null, h2: string | null, h2unix: string | null, readOnly?: boolean, idle?: boolean,
 *   streams?: boolean }} target  with `idle` 200 idle clients as well, with `streams` event streams and WebSockets on `tcp`
 * @returns {Promise<Load>}
 */
export async function startLoad(target) {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(target)], { serialization: 'advanced' });
  await once(child, 'message'); // every client has had one answer
  return {
    async stop() {
      child.send('stop');
      const [requests] = await once(child, 'message');
      child.disconnect();
      return requests;
    },
  };
}

// ---------------------------------------------------------------------------------------------------------------------

const bodies = [100, 3_000, 60_000].map((size) => randomBytes(size));
const patience = 20_000;
export const now = () => performance.timeOrigin + performance.now();
const between = ([from, to]) => from + Math.random() * (to - from);
const pick = (list) => list[Math.floor(Math.random() * list.length)];
const hostOf = (address) =>
  address.startsWith('/') ? { socketPath: address } : { host: address.split(':')[0], port: address.split(':')[1] };

/** What is sent and expected. */
function plan(ask, readOnly) {
  const [verb, ms = '0'] = ask.split(' ');
  if (verb === 'slow') return { method: 'GET', path: `/slow/${ms}`, body: null, expected: 'slow', own: Number(ms) };
  if (verb === 'get' || readOnly) return { method: 'GET', path: '/', body: null, expected: 'hello', own: 0 };
  const body = pick(bodies);
  return { method: 'POST', path: '/', body, expected: body, own: ms === 'slowly' ? 20 : 0, slowly: ms === 'slowly' };
}

async function send(stream, { body, slowly }) {
  if (!slowly) return stream.end(body ?? undefined);
  stream.write(body.subarray(0, body.length >> 1));
  await sleep(20);
  stream.end(body.subarray(body.length >> 1));
}

function check(status, chunks, { expected }) {
  if (status !== 200) throw new Error(`status ${status}`);
  if (!Buffer.concat(chunks).equals(Buffer.from(expected))) throw new Error('another body than expected');
}

class Http1Client {
  #address;
  #agent;
  /** Until when the server has said that it keeps the connection. */
  #promised = 0;
  /** Whether it had, of a connection that was promised; else null. */
  kept = null;

  constructor(address, keepAlive) {
    this.#address = hostOf(address);
    // Without a timeout of its own the agent takes no notice of the server's.
    this.#agent = keepAlive ? new http.Agent({ keepAlive: true, maxSockets: 1, timeout: 60_000 }) : false;
  }

  ask(planned) {
    return new Promise((resolve, reject) => {
      const { method, path, body } = planned;
      const promised = now() < this.#promised;
      this.kept = promised ? false : null;
      const headers = body ? { 'content-length': body.length } : {};
      const request = http.request({ ...this.#address, method, path, headers, agent: this.#agent }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', (error) => fail(error, 'in the answer'));
        response.on('end', () => {
          clearTimeout(late);
          if (promised) this.kept = request.reusedSocket;
          // A second of it is left to the way, as Node.js does.
          const [, seconds = 0] = /timeout=(\d+)/.exec(response.headers['keep-alive']) ?? [];
          this.#promised = now() + (Math.min(seconds, 60) - 1) * 1000;
          try {
            resolve(check(response.statusCode, chunks, planned));
          } catch (error) {
            reject(error);
          }
        });
      });
      const late = setTimeout(() => request.destroy(new Error('no answer')), patience);
      const fail = (error, where = '') => {
        clearTimeout(late);
        const on = request.reusedSocket ? 'on a connection used before' : 'on a new connection';
        reject(new Error(`${error.code ?? error.message} ${where || on}`));
      };
      request.on('error', fail);
      void send(request, planned);
    });
  }

  close() {
    if (this.#agent) this.#agent.destroy();
  }
}

class Http2Client {
  #address;
  #session = null;

  constructor(address) {
    this.#address = hostOf(address);
  }

  #connected() {
    if (this.#session) return this.#session;
    const { socketPath, host, port } = this.#address;
    const session = http2.connect('http://bench', {
      createConnection: () => (socketPath ? connect(socketPath) : connect(Number(port), host)),
    });
    const forget = () => {
      if (this.#session === session) this.#session = null;
    };
    session.on('goaway', forget).on('close', forget);
    session.on('error', (error) => {
      session.failure = error.code;
      forget();
    });
    return (this.#session = session);
  }

  async ask(planned) {
    for (let refused = 0; ; refused++) {
      try {
        await this.#askOnce(planned);
        return refused;
      } catch (error) {
        if (!error.refused || refused === 3) throw error;
      }
    }
  }

  #askOnce(planned) {
    return new Promise((resolve, reject) => {
      const { method, path } = planned;
      const session = this.#connected();
      const used = session.used ? 'on a session used before' : 'on a new session';
      session.used = true;
      let failure = null;
      const stream = session.request({ ':method': method, ':path': path });
      const late = setTimeout(() => stream.destroy(new Error('no answer')), patience);
      const chunks = [];
      let status = 0;
      stream.on('response', (headers) => (status = headers[':status']));
      stream.on('data', (chunk) => chunks.push(chunk));
      stream.on('error', (error) => (failure ??= error));
      stream.on('close', () => {
        clearTimeout(late);
        try {
          const why = session.failure ?? `${failure?.code ?? failure?.message}, ${stream.rstCode}`;
          const refused = stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM;
          if (failure) throw Object.assign(new Error(`${why} ${used}`), { refused });
          resolve(check(status, chunks, planned));
        } catch (error) {
          reject(error);
        }
      });
      void send(stream, planned);
    });
  }

  close() {
    this.#session?.close();
  }
}

async function run({ tcp, unix, h2, h2unix, readOnly = false, idle: crowd = false, streams: open = false }) {
  const requests = [];
  let running = true;
  const clients = [];

  async function repeat(kind, client, { think, asks, kept = false }) {
    const wanted = readOnly ? asks.filter((ask) => !ask.startsWith('slow')) : asks;
    for (let [i, last] = [0, false]; running || (kept && !last); i++) {
      last = !running; // is it still there?
      const planned = plan(wanted[i % wanted.length], readOnly);
      const at = now();
      let [error, refused] = [null, 0];
      try {
        refused = await client.ask(planned);
      } catch (failure) {
        error = failure.message;
      }
      const stayed = kept ? client.kept : null;
      requests.push({ at, ms: now() - at, own: planned.own, kind, refused: refused ?? 0, error, kept: stayed });
      if (i === 0) ready();
      await (running && Promise.race([sleep(between(think), null, { ref: false }), stopped]));
    }
    client.close();
  }

  let waiting = 0;
  let ready;
  const allReady = new Promise((resolve) => (ready = () => --waiting === 0 && resolve()));
  let stop;
  const stopped = new Promise((resolve) => (stop = resolve));
  for (const [kind, setting] of Object.entries(crowd ? { ...kinds, idle } : kinds)) {
    if (readOnly && setting.asks.every((ask) => ask.startsWith('slow'))) continue;
    for (const [way, address] of kind === 'HTTP/2'
      ? [
          ['tcp', h2],
          ['unix', h2unix],
        ]
      : [
          ['tcp', tcp],
          ['unix', unix],
        ]) {
      if (!address) continue;
      for (let i = 0; i < setting.clients; i++) {
        waiting += 1;
        const client = kind === 'HTTP/2' ? new Http2Client(address) : new Http1Client(address, setting.keepAlive);
        clients.push(repeat(`${kind}, ${way}`, client, setting));
      }
    }
  }
  const talks = [EventStreamClient, WebSocketClient].flatMap((Client) => Array.from({ length: streams }, () => Client));
  for (const Client of open ? talks : []) {
    waiting += 1;
    const client = new Client(hostOf(tcp), (one) => requests.push({ own: 0, refused: 0, kept: null, ...one }));
    void stopped.then(() => client.close());
    clients.push(client.run(ready));
  }
  await allReady;
  requests.length = 0; // the first connection starts the service
  process.send('ready');
  await once(process, 'message');
  running = false;
  stop();
  await Promise.all(clients);
  process.send(requests);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await run(JSON.parse(process.argv[2]));
