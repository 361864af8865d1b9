// Express. Only the last lines differ from any other app: `listen(app, port)` instead of `app.listen(port)`.
import express from 'express';
import { listen } from 'listenfds';

const app = express();
app.get('/', (_request, response) => response.send('Hello from Express\n'));

const { url, source } = await listen(app, process.env.PORT ?? 3001);
console.log(`${url} ${source}`);
