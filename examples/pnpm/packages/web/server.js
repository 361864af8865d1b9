// In a unit: ExecStart=/usr/bin/node /srv/shop/packages/web/server.js. pnpm's node_modules/.bin/listenfds is a shell script, which
// node cannot run: ExecReload= names node_modules/listenfds/dist/cli.js, as `listenfds unit --upgrade` writes it.
import { serve } from 'listenfds';

const app = (_request, response) => response.end('Hello from a workspace\n');

const { listening } = await serve(app, process.env.PORT ?? 3000);
console.log(`${listening[0].url} ${listening[0].source}`);
