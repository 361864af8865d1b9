// The lines of README.md, docs/zero-downtime.md, docs/fd-store.md and docs/lifecycle.md: node readme.js CASE
/* oxlint-disable no-unused-vars -- they show what there is */
import express from 'express';
import { listen } from 'listenfds';
import { serve } from 'listenfds';
import { authorize, peerCredentials } from 'listenfds';
import { listenDatagram, listenSequentialPacket } from 'listenfds/sockets';
import { listenFds, removeStoredFds, storeFds } from 'listenfds';
import { notify, notifyBarrier, watchdogEnabled } from 'listenfds';
import { subscribe } from 'node:diagnostics_channel';

const app = express();
app.get('/', (request, response) => response.send('hello'));

const database = { end: () => console.log('ended') };
const gauge = { set: () => {} };
const readConfiguration = () => {};

const cases = {
  async listen() {
    await listen(app, 3000); // instead of app.listen(3000)
  },
  async serve() {
    await serve(app, { port: 3000, idleTimeout: '10min' });
  },
  async upgrade() {
    await serve(app, { port: 3000, upgrade: true });
  },
  async restart() {
    await serve(app, 8080);
  },
  async zeroDowntime() {
    await serve(app, { port: 8080, upgrade: true });
  },
  async store() {
    await serve(app, { port: 8080, store: 'web' });
  },
  async stored() {
    const { server } = await listen(app, 0);
    const socket = { fd: server._handle.fd };
    await storeFds('session-42', [socket.fd]);
    // after the restart
    const sessions = listenFds().filter(({ name }) => name.startsWith('session-'));
    await removeStoredFds('session-42');
    return sessions;
  },
  async lifecycle() {
    await serve(app, {
      port: 3000,
      drain: { timeout: 20_000 },
      idleTimeout: '10min',
      onReload: () => readConfiguration(),
      onStop: () => database.end(),
    });
  },
  async health() {
    let service;
    app.get('/health', (request, response) => response.status(service?.ready ? 200 : 503).end());
    service = await serve(app, { port: 3000, drainDelay: '5s' });
  },
  async stats() {
    subscribe('listenfds:stats', ({ listeners, total }) => gauge.set(total.active));
  },
  async notify() {
    notify({ ready: true, status: 'Serving' });
    await notifyBarrier({ timeout: 5000 });
    return watchdogEnabled();
  },
  async imports() {
    return [authorize, listenDatagram, listenSequentialPacket, peerCredentials].every(Boolean);
  },
};

await cases[process.argv[2]]();
console.log('done');
process.exit();
