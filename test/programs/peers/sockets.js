// One server, on the socket that was passed, as each package's own documentation says to: node sockets.js PACKAGE. The port
// to bind where nothing was passed is in PORT; where NAME is set, the socket of that name is meant, the second of two.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { PORT: port, NAME: name, LISTEN_FDS } = process.env;
const index = name ? 1 : 0;

const server = createServer((_request, response) => response.end('hello'));

const ways = {
  async listenfds() {
    const { listen } = await import(process.env.LISTENFDS_MODULE);
    await listen(server, { port, ...(name ? { name } : {}) });
  },
  'written by hand': () => server.listen(LISTEN_FDS ? { fd: 3 + index } : port),
  // ESRCH is its code for: nothing was passed
  'socket-activation'() {
    const sockets = require('socket-activation');
    try {
      for (const fd of sockets.collect(name ?? 'web')) server.listen({ fd });
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
      server.listen(port);
    }
  },
  systemd() {
    require('systemd');
    server.listen(process.env.LISTEN_PID > 0 ? 'systemd' : port);
  },
  'systemd-socket': () =>
    server.listen((name ? require('systemd-socket')(index) : require('systemd-socket')()) || port),
  async 'sd-daemon'() {
    const sd = await import('sd-daemon');
    const listeners = sd.listeners();
    if (listeners.length) server.listen(name ? listeners.find((listener) => listener.name === name) : listeners[0]);
    else server.listen(port);
  },
};

await ways[process.argv[2]]();
