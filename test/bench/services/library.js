// The library's side. The file that BEHAVIOUR names says how successors are to fail.
import { readFileSync } from 'node:fs';
import { serve } from 'listenfds';
import { addresses, makeServers } from './servers.js';

const behaviour =
  process.env.BEHAVIOUR && process.env.LISTENFDS_UPGRADE ? readFileSync(process.env.BEHAVIOUR, 'utf8') : '';
const misbehave = {
  crash: () => process.exit(1),
  exit: () => process.exit(0),
  killed: () => process.kill(process.pid, 'SIGKILL'),
  hang: () => new Promise(() => setInterval(() => {}, 1000)),
};
await misbehave[behaviour]?.();

await serve(
  makeServers().map((app, i) => ({ app, address: addresses[i], activation: 'required' })),
  { upgrade: { timeout: Number(process.env.UPGRADE_TIMEOUT ?? 30_000) } },
);
