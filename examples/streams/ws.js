// WebSockets that are closed with 1012, "service restart", when the service stops.
import { createServer } from 'node:http';
import { serve } from 'listenfds';
import { WebSocketServer } from 'ws';

const server = createServer();
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket) => socket.on('message', (text) => socket.send(`you said ${text}`)));

const service = await serve(server, { port: process.env.PORT ?? 3012 });
console.log(service.listening[0].url);

// It comes again for a connection that becomes a WebSocket while the service stops.
server.on('draining', () => {
  for (const socket of sockets.clients) socket.close(1012);
});
