// The service of the scenarios: what it opens, and how a successor of it misbehaves, says the file that CONFIGURATION names.
// It answers /ID with its process, and the like; a line of standard output says that it is up.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createRaw, Socket } from 'node:net';

const { listenFds, serve, upgradeState } = await import(process.env.LISTENFDS_DIST);
const { listenDatagram, listenSequentialPacket } = await import(process.env.LISTENFDS_DIST.replace('index', 'sockets'));
const configuration = JSON.parse(readFileSync(process.env.CONFIGURATION, 'utf8'));
const { apps = [{}], datagrams = [], packets = [], successor, options = {} } = configuration;
const say = (what) => console.log(JSON.stringify({ pid: process.pid, ...what }));

if (process.env.LISTENFDS_UPGRADE) {
  say({ successor: true });
  if (successor === 'clean exit') process.exit(0);
  if (successor === 'unclean exit') process.exit(1);
  if (successor === 'hang') await new Promise((resolve) => setTimeout(resolve, 60_000));
}
if (process.env.DOTENV) process.loadEnvFile(process.env.DOTENV); // what is set stays
const state = await upgradeState();
const passed = listenFds().map(({ name, address }) => ({ name, address }));

const raw = new Set();
function talk(socket) {
  raw.add(socket);
  socket.on('data', (data) => socket.write(`${data} ${process.pid}`));
  socket.on('error', () => {}).once('close', () => raw.delete(socket));
}
for (const one of listenFds()) if (one.connected && one.name === 'client') talk(new Socket({ fd: one.take() }));

const answers = {
  '/id': () => String(process.pid),
  '/passed': () => JSON.stringify({ passed, state }),
  '/env': () => String(process.env.GREETING),
  '/slow': () => new Promise((resolve) => setTimeout(resolve, 800, `slow ${process.pid}`)),
  '/close-listener': () => void server.close(),
  '/stop': () => void service.close(),
  '/upgrade': async () => {
    try {
      const { pid } = await service.upgrade({ connections: { client: [...raw] } });
      return JSON.stringify({ pid });
    } catch ({ code, message }) {
      return JSON.stringify({ code, message });
    }
  },
};
const server = createServer(async (request, response) => response.end(await answers[request.url]()));
const opened = [];
for (const { echo, ...target } of apps)
  opened.push({ app: echo ? createRaw(talk) : opened.length ? createServer() : server, ...target });
for (const target of datagrams) await listenDatagram(target);
for (const target of packets) await listenSequentialPacket(target);
const service = await serve(opened, {
  upgrade: { timeout: options.upgradeTimeout ?? 10_000 },
  drain: { grace: 50, timeout: 5000 },
  onStop: () => say({ stopped: true }),
  ...(options.idleTimeout ? { idleTimeout: options.idleTimeout } : {}),
});
say({ up: true, addresses: service.listening.map(({ address }) => address) });
