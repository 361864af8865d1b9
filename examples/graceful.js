// A whole service: says when it is ready, drains on SIGTERM so that no request is lost, and exits when it has had nothing
// to do for ten minutes; the next connection starts it again.
import { serve } from 'listenfds';

const app = (_request, response) => response.end('Hello from a service\n');

const { listening } = await serve(app, { port: process.env.PORT ?? 3003, idleTimeout: '10min' });
console.log(`${listening[0].url} ${listening[0].source}`);
