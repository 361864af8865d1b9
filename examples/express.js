// Express. Only the last lines differ from any other app: `serve(app, port)` instead of `app.listen(port)`.
import express from 'express';
import { serve } from 'listenfds';

const app = express();
app.get('/', (_request, response) => response.send('Hello from Express\n'));

const { listening } = await serve(app, process.env.PORT ?? 3001);
console.log(`${listening[0].url} ${listening[0].source}`);
