// An http server on the unix path of its first argument, open to everybody or, with a rule as its second, to some. The
// answer is the CPU time the program has used, in µs.
import { createServer } from 'node:http';
import { listen } from 'listenfds';

const [, , path, rule] = process.argv;
const server = createServer((_request, response) => {
  const { user, system } = process.cpuUsage();
  response.end(String(user + system));
});
await listen(server, rule ? { path, authorize: JSON.parse(rule) } : { path });
console.log('listening');
