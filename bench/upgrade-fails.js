// 200 upgrades under the mixed load, half of which fail: no request, no descriptor, no process and no memory is lost.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { library, percentile, summary, tell, underLoad, withService } from './under-load.js';
import { row } from './rounds.js';

const bench = 'upgrade-fails';
const median = (values) => percentile(values, 0.5);

// A hang costs its timeout, so it is rarer.
const mishaps = ['crash', 'exit', 'killed', 'crash', 'exit', 'killed', 'crash', 'exit', 'killed', 'hang'];
const hangTimeout = 2_000;
// The heap of a process that has just taken over grows for some 15 seconds under this load, with upgrades or without.
const warmUp = 10_000;

/** Half of the upgrades fail: first at random, then in a row in one process whose memory and descriptors are watched. */
async function failing(rounds) {
  const environment = `Environment=BEHAVIOUR=/run/behaviour UPGRADE_TIMEOUT=${hangTimeout}`;
  return withService('library', `${library}\n${environment}`, async (lab, target) => {
    const mainPid = async () => Number(await lab.systemctl('show', '--property=MainPID', '--value', 'web.service'));
    const group = (await lab.systemctl('show', '--property=ControlGroup', '--value', 'web.service')).trim();
    const processes = () => {
      const path = lab.path(`/sys/fs/cgroup${group || '/system.slice/web.service'}/cgroup.procs`);
      return readFileSync(path, 'utf8').trim().split('\n').length;
    };
    const descriptors = async () => readdirSync(lab.path(`/proc/${await mainPid()}/fd`)).length;
    const rss = async () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(lab.path(`/proc/${await mainPid()}/status`), 'utf8'))[1]) / 1024;

    const quarter = Math.ceil(rounds / 4);
    const half = Array.from({ length: 2 * quarter }, (_, i) => i % 2 === 0).sort(() => Math.random() - 0.5);
    const fail = [...half, ...Array(quarter).fill(true), ...Array(quarter).fill(false)];
    const memory = [];
    const outcomes = { failed: 0, unexpected: 0, mainPids: new Set() };
    let before = 0;
    const act = async (turn) => {
      if (turn === 0) {
        // What the first upgrade loads stays open: it is not what leaks.
        await lab.systemctl('reload', 'web.service');
      }
      if (turn === 2 * quarter) await sleep(warmUp);
      const mishap = fail[turn] ? mishaps[Math.floor(Math.random() * mishaps.length)] : '';
      writeFileSync(lab.path('/run/behaviour'), mishap);
      const { code } = await lab.run('systemctl', 'reload', 'web.service');
      if (code !== 0) outcomes.failed += 1;
      if ((code !== 0) !== fail[turn]) outcomes.unexpected += 1;
      outcomes.mainPids.add(await mainPid());
      if (turn >= 2 * quarter && turn < 3 * quarter) memory.push(await rss());
    };
    await lab.systemctl('start', 'web.service');
    await lab.systemctl('reload', 'web.service');
    await untilOne(processes);
    before = await descriptors();
    const result = await underLoad(target, fail.length, act, 0);
    await untilOne(processes);
    const left = { processes: processes(), descriptors: (await descriptors()) - before };
    return { result, memory, left, ...outcomes };
  });
}

/** The old processes have their connections to drain. */
async function untilOne(processes) {
  for (let i = 0; i < 100 && processes() > 1; i++) await sleep(100);
}

export default async function upgradeFails({ rounds = 200 }) {
  const half = await failing(rounds);
  tell(`half of them fail (${half.failed} did, ${half.unexpected} unexpectedly)`, half.result);
  const fifth = Math.max(1, Math.floor(half.memory.length / 5));
  const [warm, last] = [half.memory.slice(2 * fifth, 3 * fifth), half.memory.slice(-fifth)];
  console.error(`    MiB in a row: ${half.memory.map(Math.round).join(' ')}`);
  return [
    row(
      {
        bench,
        metric: `failed of ${half.result.requests.length} requests, half of ${rounds} upgrades fail`,
        ours: summary(half.result).failed,
      },
      { atMost: 0 },
    ),
    row({ bench, metric: 'processes left', ours: half.left.processes - 1 }, { atMost: 0 }),
    row({ bench, metric: 'descriptors left', ours: half.left.descriptors }, { atMost: 0 }),
    row(
      {
        bench,
        metric: `MiB after ${half.memory.length} failed upgrades in a row`,
        ours: median(last),
        other: median(warm),
        against: 'halfway',
      },
      { ratioAtMost: 1.1 },
    ),
  ];
}
