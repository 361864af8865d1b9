// server.js
import express from 'express';
import { serve } from 'listenfds';

const app = express();
app.get('/', (request, response) => response.send(`hello from process ${process.pid}\n`));

await serve(app, { port: process.env.PORT ?? 3000 });
