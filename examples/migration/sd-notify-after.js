import { createServer } from 'node:http';
import { notify, watchdogEnabled } from 'listenfds';

const server = createServer((_request, response) => response.end('hello\n'));

server.listen(process.env.PORT ?? 3000, () => {
  notify({ ready: true, status: 'serving' });
  const timeout = watchdogEnabled();
  if (timeout !== null) setInterval(() => notify({ watchdog: true }), timeout / 2);
});
