// 200 upgrades by `systemctl reload` under the mixed load of restart.js: no request fails, no idle connection is lost, and the
// slowest of a thousand requests are as fast as without.
import { setTimeout as sleep } from 'node:timers/promises';
import { now, startLoad } from './mixed-load.js';
import { library, percentile, settle, summary, tell, withService } from './under-load.js';
import { row } from './rounds.js';

const bench = 'upgrade';

/** Upgrades and quiet in turn, so that what disturbs the machine disturbs both. */
async function alternate(rounds) {
  const blocks = 8;
  return withService('library', library, async (lab, target) => {
    const load = await startLoad(target);
    await sleep(settle);
    const windows = [];
    const actions = [];
    for (let block = 0; block < blocks; block++) {
      const began = now();
      for (let i = 0; i < Math.ceil(rounds / blocks); i++) {
        const at = now();
        await lab.systemctl('reload', 'web.service');
        actions.push({ at, ms: now() - at, untilAnswer: now() - at });
        await sleep(100);
      }
      const ended = now();
      windows.push({ began, ended, upgrading: true });
      await sleep(2_000); // the last of the old processes leave
      const quiet = now();
      await sleep((ended - began) * 0.4);
      windows.push({ began: quiet, ended: now(), upgrading: false });
    }
    const requests = await load.stop();
    const during = (upgrading) =>
      requests.filter(({ at }) =>
        windows.some((one) => one.upgrading === upgrading && at >= one.began && at < one.ended),
      );
    return { all: { requests, actions }, upgrading: during(true), quiet: during(false) };
  });
}

const p999 = (requests) =>
  percentile(
    requests.filter(({ error }) => error === null).map(({ ms }) => ms),
    0.999,
  );
const fast = (requests) => requests.filter(({ own }) => own === 0);
const median = (values) => percentile(values, 0.5);

export default async function upgrade({ rounds = 200 }) {
  const { all, upgrading, quiet } = await alternate(rounds);
  tell('upgrades and quiet in turn', all);
  const { failed, requests, promised, lost } = summary(all);
  const [against, other] = ['the same load without', p999(quiet)];
  const rows = [
    row({ bench, metric: `failed of ${requests} requests, ${rounds} upgrades`, ours: failed }, { atMost: 0 }),
    row({ bench, metric: `idle connections lost of ${promised}`, ours: lost }, { atMost: 0 }),
    row({ bench, metric: 'p99.9, ms', ours: p999(upgrading), other, against }, { ratioAtMost: 1.2 }),
    row({
      bench,
      metric: 'p99.9 of those without a wait of their own, ms',
      ours: p999(fast(upgrading)),
      other: p999(fast(quiet)),
      against,
    }),
    row({
      bench,
      metric: 'median, ms',
      ours: median(upgrading.map(({ ms }) => ms)),
      other: median(quiet.map(({ ms }) => ms)),
      against,
    }),
  ];
  return rows;
}
