// The same server, adopted by the library.
import { createServer } from 'node:http';
import { listen } from 'listenfds';

const server = createServer((_request, response) => {
  const { user, system } = process.cpuUsage();
  response.end(String(user + system));
});
await listen(server, Number(process.env.PORT));
