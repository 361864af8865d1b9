import { createServer } from 'node:http';
import sd from 'sd-notify';

const server = createServer((_request, response) => response.end('hello\n'));

server.listen(process.env.PORT ?? 3000, () => {
  sd.ready();
  sd.sendStatus('serving');
  sd.startWatchdogMode(2800);
});
