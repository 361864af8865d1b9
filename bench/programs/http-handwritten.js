// An http server on fd 3, adopted by hand. Answers with the CPU time that the process has used, in µs.
import { createServer } from 'node:http';

const server = createServer((_request, response) => {
  const { user, system } = process.cpuUsage();
  response.end(String(user + system));
});
server.listen({ fd: 3 });
