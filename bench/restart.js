// 100 `systemctl restart` under the mixed load: no request fails, and none waits longer than drain and boot take. The same
// load on what others do on the same socket unit, and on pm2's reload without activation.
import { reloadedByPm2, restarted, summary, tell } from './under-load.js';
import { row } from './rounds.js';

const bench = 'restart';
// Fewer restarts where each takes ten seconds, as long as an HTTP/2 session is open.
const peers = {
  'plain Node on fd 3': { times: 20, measure: (times) => restarted('plain', times) },
  'http-terminator': { times: 20, measure: (times) => restarted('http-terminator', times) },
  'close-with-grace': { times: 5, measure: (times) => restarted('close-with-grace', times) },
  'pm2 reload, no activation': { times: 5, measure: reloadedByPm2 },
};

export default async function restart({ rounds = 100 }) {
  const ours = await restarted('library', rounds);
  tell('listenfds', ours);
  const { failed, requests, slowest, longest, perThousand } = summary(ours);
  const rows = [
    row({ bench, metric: `failed of ${requests} requests, ${rounds} restarts`, ours: failed }, { atMost: 0 }),
    row(
      { bench, metric: 'slowest wait, ms', ours: slowest, other: longest, against: 'drain and boot' },
      { ratioAtMost: 1 },
    ),
  ];
  for (const [against, { times, measure }] of Object.entries(peers)) {
    try {
      const result = await measure(Math.min(times, rounds));
      tell(against, result);
      const other = summary(result);
      if (other.failed === other.requests) throw new Error('it has answered nothing');
      const metric = 'failed per 1000 requests';
      rows.push(row({ bench, metric, ours: perThousand, other: other.perThousand, against }));
    } catch (error) {
      console.error(`${against} is left out: ${error.message}`);
    }
  }
  return rows;
}
