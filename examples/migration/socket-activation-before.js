import { createServer } from 'node:http';
import sockets from 'socket-activation';

const app = (_request, response) => response.end('hello\n');

try {
  for (const fd of sockets.collect('web')) createServer(app).listen({ fd });
} catch (error) {
  if (error.code !== 'ESRCH') throw error;
  createServer(app).listen(process.env.PORT ?? 3000);
}
