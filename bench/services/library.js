// The library's side. The file that BEHAVIOUR names says how successors are to fail.
import { existsSync, readFileSync } from 'node:fs';
import { serve } from '../../dist/index.js';
import { addresses, makeServers } from './servers.js';

const { BEHAVIOUR = '', LISTENFDS_UPGRADE, UPGRADE_TIMEOUT = '30000', ACTIVATION = 'required' } = process.env;
const behaviour = LISTENFDS_UPGRADE && existsSync(BEHAVIOUR) ? readFileSync(BEHAVIOUR, 'utf8') : '';
const misbehave = {
  crash: () => process.exit(1),
  exit: () => process.exit(0),
  killed: () => process.kill(process.pid, 'SIGKILL'),
  hang: () => new Promise(() => setInterval(() => {}, 1000)),
};
await misbehave[behaviour]?.();

const { apps, leave } = await makeServers();
const service = await serve(
  apps.map((app, i) => ({ app, address: addresses[i], activation: ACTIVATION })),
  { upgrade: { timeout: Number(UPGRADE_TIMEOUT) } },
);
service.signal.addEventListener('abort', leave);
