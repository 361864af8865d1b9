// socket.io ends its connections by itself when the service stops, long polls and WebSockets. Clients connect again.
import { createServer } from 'node:http';
import { serve } from 'listenfds';
import { Server } from 'socket.io';

const io = new Server(createServer());
io.on('connection', (socket) => socket.on('say', (text, answer) => answer(`you said ${text}`)));

const service = await serve(io, { port: process.env.PORT ?? 3013 });
console.log(service.listening[0].url);
