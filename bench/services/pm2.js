// As pm2's documentation says for `pm2 reload`: cluster mode, ready told when all listen, SIGINT closes the servers.
import { once } from 'node:events';
import { addresses, makeServers } from './servers.js';

const { servers, closeFastify, leave } = await makeServers();
servers.forEach((server, i) => {
  const [host, port] = addresses[i].startsWith('/') ? [] : addresses[i].split(':');
  server.listen(port === undefined ? { path: addresses[i] } : { host, port: Number(port) });
});
process.on('SIGINT', async () => {
  leave();
  const rest = servers.slice(1).map((server) => new Promise((resolve) => server.close(resolve)));
  await Promise.all([closeFastify(), ...rest]);
  process.exit(0);
});
await Promise.all(servers.map((server) => server.listening || once(server, 'listening')));
process.send('ready');
