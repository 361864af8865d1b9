// The same service, adopted by the library.
import express from 'express';
import { listen } from 'listenfds';

const app = express();
app.get('/', (_request, response) => {
  const { user, system } = process.cpuUsage();
  response.send(String(user + system));
});
await listen(app, Number(process.env.PORT));
// A killed process writes no compile cache.
process.once('SIGUSR2', () => process.exit());
