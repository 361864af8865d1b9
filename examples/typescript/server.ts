// In a unit: ExecStart=/usr/bin/node dist/server.js after `npm run build`.
import express from 'express';
import { ListenFdsError, serve, type Service } from 'listenfds';

const app = express();
app.get('/', (_request, response) => {
  response.send('Hello from TypeScript\n');
});

try {
  const service: Service = await serve(app, { port: process.env.PORT ?? 3000 });
  for (const { url, source } of service.listening) console.log(`${url} ${source}`);
} catch (error) {
  if (!(error instanceof ListenFdsError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
