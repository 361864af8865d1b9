// A service for `listenfds run`: when it is started, on which socket, and when it leaves is the command's business.
import { serve } from 'listenfds';

const app = (_request, response) => response.end(`Hello from process ${process.pid}\n`);

await serve(app, process.env.PORT ?? 3004);
