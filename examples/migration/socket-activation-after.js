import { listen } from 'listenfds';

const app = (_request, response) => response.end('hello\n');

await listen(app, { name: 'web', port: process.env.PORT ?? 3000 });
