// A Next.js custom server, and the one line that its listen() becomes.
import next from 'next';

const { serve } = await import(process.env.LISTENFDS_MODULE ?? 'listenfds');

const { listening } = await serve(next({ dev: false }), Number(process.env.PORT ?? 3000));
console.log(`listening ${listening[0].source}`);
