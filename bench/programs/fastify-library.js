// A Fastify service, adopted by the library.
import Fastify from 'fastify';
import { listen } from 'listenfds';

const app = Fastify();
app.get('/', async () => {
  const { user, system } = process.cpuUsage();
  return String(user + system);
});
await listen(app, Number(process.env.PORT));
// A killed process writes no compile cache.
process.once('SIGUSR2', () => process.exit());
