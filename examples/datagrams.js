// Collects messages from a unix datagram socket, each with the user that sent it, as the kernel says.
//   node datagrams.js /run/app/log.sock
import { listenDatagram } from 'listenfds/sockets';

const { socket } = await listenDatagram({
  path: process.argv[2] ?? '/run/app/log.sock',
  mode: 0o666,
  passCredentials: true,
});

socket.on('message', (message, { path, credentials, truncated }) => {
  console.log(`user ${credentials.uid}: ${message}${truncated ? ' …' : ''}`);
  if (path) socket.send('noted', path).catch(() => {}); // whoever asked may be gone
});
console.log(`listening on ${socket.address()}`);
