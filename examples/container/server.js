import { serve } from 'listenfds';

await serve((request, response) => response.end('hello from a container\n'), { port: 3000 });
