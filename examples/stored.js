// A service that opens its port itself and keeps it through restarts; no socket unit.
//   [Service]
//   Type=notify
//   FileDescriptorStoreMax=1
//   ExecStart=/usr/bin/node /opt/app/stored.js 8080
import { serve } from 'listenfds';

const app = (_request, response) => response.end(`${process.pid}\n`);
const { listening } = await serve(app, { port: process.argv[2] ?? 8080, store: 'web' });
console.log(`${listening[0].source}: ${listening[0].url}`);
