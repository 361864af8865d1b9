// As its README says: one terminator per server, terminate() at the signal.
import { createHttpTerminator } from 'http-terminator';
import { makeServers } from './servers.js';

const { servers, leave } = await makeServers();
const terminators = servers.map((server) => createHttpTerminator({ server }));
servers.forEach((server, i) => server.listen({ fd: 3 + i }));
process.on('SIGTERM', async () => {
  leave();
  await Promise.all(terminators.map((terminator) => terminator.terminate()));
  process.exit(0);
});
