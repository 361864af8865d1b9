// A long poll that answers when there is news, after 30 s, or when the service stops; the client asks again each time.
import { EventEmitter, once } from 'node:events';
import express from 'express';
import { serve } from 'listenfds';

const news = new EventEmitter().setMaxListeners(0);
const app = express();

app.get('/poll', async (request, response) => {
  const signal = AbortSignal.any([service.signal, AbortSignal.timeout(30_000)]);
  const found = await once(news, 'news', { signal }).catch(() => []);
  response.json(found);
});

app.post('/news', express.json(), (request, response) => {
  news.emit('news', request.body);
  response.status(204).end();
});

const service = await serve(app, { port: process.env.PORT ?? 3011 });
console.log(service.listening[0].url);
