// The same server on a port that it binds itself. Prints the port.
import { createServer } from 'node:http';

const server = createServer((_request, response) => {
  const { user, system } = process.cpuUsage();
  response.end(String(user + system));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
