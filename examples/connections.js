// A raw TCP service whose clients stay connected through `systemctl restart` (FileDescriptorStoreMax=, Type=notify) and
// through an upgrade: their connections go to the next process, and what it has counted goes along in an upgrade.
import { createServer, Socket } from 'node:net';
import { listenFds, removeStoredFds, serve, storeConnections, upgradeState } from 'listenfds';

let { lines } = (await upgradeState()) ?? { lines: 0 };
const open = new Set();

// One line, one answer: between two lines there is nothing to lose.
const server = createServer((socket) => {
  open.add(socket);
  socket.once('close', () => open.delete(socket)).on('error', () => {});
  socket.on('data', (line) => socket.write(`${(lines += 1)} ${process.pid} ${line}`));
});

// At the end of this process, but not after an upgrade: then the successor has them.
server.on('draining', ({ sockets }) => storeConnections('client', sockets));

const service = await serve(server, {
  port: process.env.PORT ?? 7000,
  upgrade: { signal: 'SIGUSR2', prepare: () => ({ state: { lines }, connections: { client: [...open] } }) },
});

const handedOver = listenFds().filter(({ name, connected }) => name === 'client' && connected);
for (const connection of handedOver) server.emit('connection', new Socket({ fd: connection.take() }));
// As long as the manager has a copy, no connection ends for its client.
if (handedOver.length > 0) await removeStoredFds('client');

console.log(`${service.listening[0].url ?? 'listening'} ${process.pid} ${handedOver.length}`);
