// One process a connection, with Accept=yes: it ends when the client goes. By hand it is an ordinary server.
import { createServer } from 'node:net';
import { listen } from 'listenfds';

const server = createServer((socket) => {
  socket.write('what is your name?\n');
  socket.once('data', (name) => socket.end(`hello ${String(name).trim()}\n`));
});

const { remote, address } = await listen(server, process.env.PORT ?? 3005);
console.error(remote ? `for ${remote.address} port ${remote.port}` : `listening on ${JSON.stringify(address)}`);
