// Fastify: hooks and plugins run as in its own listen().
import Fastify from 'fastify';
import { listen } from 'listenfds';

const app = Fastify();
app.get('/', async () => 'Hello from Fastify\n');

const { url, source } = await listen(app, process.env.PORT ?? 3002);
console.log(`${url} ${source}`);
