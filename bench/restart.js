// 100 `systemctl restart` under the mixed load: no request fails, no idle connection is lost, and no new visitor waits longer
// than the boot and the longest request in flight take. The same load on what others do on the same socket unit, and on pm2's
// reload without activation.
import { bootTime, longestRequest, percentile, reloadedByPm2, restarted, summary, tell } from './under-load.js';
import { row } from './rounds.js';

const bench = 'restart';
// Fewer restarts where each takes ten seconds, as long as an HTTP/2 session is open.
const peers = {
  'plain Node on fd 3': { times: 20, measure: (times) => restarted('plain', times) },
  'http-terminator': { times: 10, measure: (times) => restarted('http-terminator', times) },
  'close-with-grace': { times: 5, measure: (times) => restarted('close-with-grace', times) },
  'pm2 reload, no activation': { times: 5, measure: reloadedByPm2 },
};

/** Of those that the server had promised to keep, per cent. */
const kept = ({ promised, lost }) => (100 * (promised - lost)) / promised;

export default async function restart({ rounds = 100 }) {
  const alone = await bootTime();
  const result = await restarted('library', rounds);
  const boot = percentile(result.boots, 0.5);
  console.error(`  the program boots in ${Math.round(alone)} ms, under the load in ${Math.round(boot)} ms`);
  tell('listenfds', result);
  const ours = summary(result);
  const allowed = longestRequest + 1.5 * boot;
  const rows = [
    row({ bench, metric: `failed of ${ours.requests} requests, ${rounds} restarts`, ours: ours.failed }, { atMost: 0 }),
    row({ bench, metric: `idle connections lost of ${ours.promised}`, ours: ours.lost }, { atMost: 0 }),
    row(
      {
        bench,
        metric: 'slowest wait of a new visitor, ms',
        ours: ours.visitor,
        other: allowed,
        against: `${longestRequest} ms in flight, and 1.5 × a boot of ${Math.round(boot)} ms`,
      },
      { ratioAtMost: 1 },
    ),
  ];
  for (const [against, { times, measure }] of Object.entries(peers)) {
    try {
      const number = Math.min(times, rounds);
      const measured = await measure(number);
      tell(against, measured);
      const other = summary(measured);
      if (other.failed === other.requests) throw new Error('it has answered nothing');
      const compare = (metric, key) =>
        row({ bench, metric, ours: key(ours), other: key(other), against: `${against}, ${number} times` });
      rows.push(compare('failed per restart', ({ perAction }) => perAction));
      rows.push(compare('idle connections kept, %', kept));
      rows.push(compare('slowest wait of a new visitor, ms', ({ visitor }) => visitor));
      rows.push(compare('longest restart, ms', ({ longest }) => longest));
    } catch (error) {
      console.error(`${against} is left out: ${error.message}`);
    }
  }
  return rows;
}
