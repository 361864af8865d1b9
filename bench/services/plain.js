// What one writes by hand for socket activation, and nothing for the end: SIGTERM does what it does.
import { makeServers } from './servers.js';

const { servers } = await makeServers();
servers.forEach((server, i) => server.listen({ fd: 3 + i }));
