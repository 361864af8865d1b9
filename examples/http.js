// A plain request listener. `serve` makes the http server.
import { serve } from 'listenfds';

const app = (_request, response) => response.end('Hello from node:http\n');

const { listening } = await serve(app, process.env.PORT ?? 3000);
console.log(`${listening[0].url} ${listening[0].source}`);
