// An event stream that ends when the service stops. EventSource connects again by itself, to the next process.
import { createServer } from 'node:http';
import { serve } from 'listenfds';

const server = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const tick = setInterval(() => response.write(`data: ${new Date().toISOString()}\n\n`), 1000);
  response.write('retry: 500\ndata: hello\n\n');

  const end = () => response.end();
  if (service.signal.aborted) end();
  service.signal.addEventListener('abort', end, { once: true });
  response.once('close', () => {
    clearInterval(tick);
    service.signal.removeEventListener('abort', end);
  });
});

const service = await serve(server, { port: process.env.PORT ?? 3010 });
console.log(service.listening[0].url);
