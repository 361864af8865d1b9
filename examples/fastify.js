// Fastify: hooks and plugins run as in its own listen().
import Fastify from 'fastify';
import { serve } from 'listenfds';

const app = Fastify();
app.get('/', async () => 'Hello from Fastify\n');

const { listening } = await serve(app, process.env.PORT ?? 3002);
console.log(`${listening[0].url} ${listening[0].source}`);
