import { serve } from 'listenfds';

await serve((_request, response) => response.end('hello\n'), { port: process.env.PORT ?? 3000 });
