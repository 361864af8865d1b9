// A plain request listener. `listen` makes the http server.
import { listen } from 'listenfds';

const app = (_request, response) => response.end('Hello from node:http\n');

const { url, source } = await listen(app, process.env.PORT ?? 3000);
console.log(`${url} ${source}`);
