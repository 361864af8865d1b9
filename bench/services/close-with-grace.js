// As its README says: close the servers when told to go.
import closeWithGrace from 'close-with-grace';
import { makeServers } from './servers.js';

const { servers, closeFastify, leave } = await makeServers();
servers.forEach((server, i) => server.listen({ fd: 3 + i }));
closeWithGrace({ delay: 10_000 }, () => {
  leave();
  const rest = servers.slice(1).map((server) => new Promise((resolve) => server.close(resolve)));
  return Promise.all([closeFastify(), ...rest]);
});
