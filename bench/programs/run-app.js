// One app for both: adopts what `listenfds run` passes, binds the port itself under nodemon, drains on SIGTERM.
import { serve } from 'listenfds';

await serve((_request, response) => response.end(String(process.pid)), {
  port: Number(process.env.PORT),
  host: '127.0.0.1',
});
