// 200 upgrades by `systemctl reload` under the mixed load of restart.js: no request fails, and the slowest of a thousand
// are as fast as without. Then 200 of which half fail: no request, no descriptor, no process and no memory is lost. The
// other ways beside it: restart with drain, plain Node, pm2, nginx. The latencies over time go to docs/zero-downtime.json,
// from which picture.js draws docs/zero-downtime.svg.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './lab.js';
import { now, startLoad } from './mixed-load.js';
import {
  library,
  percentile,
  reloadedByPm2,
  restarted,
  settle,
  summary,
  tell,
  underLoad,
  waited,
  withService,
} from './under-load.js';
import { row } from './rounds.js';

const bench = 'upgrade';
const dataFile = resolve(import.meta.dirname, '../docs/zero-downtime.json');

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

async function nginxReloaded(times) {
  if (!existsSync('/usr/sbin/nginx')) throw new Error('nginx is not installed');
  const folder = mkdtempSync(join(tmpdir(), 'nginx-'));
  const [tcp, h2] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const [unix, h2unix] = [join(folder, 'web.sock'), join(folder, 'h2.sock')];
  const server = (...listen) =>
    `server { ${listen.map((one) => `listen ${one};`).join(' ')} location / { return 200 hello; } }`;
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; pid ${folder}/pid; error_log stderr crit; worker_processes 2; user root; events {}
     http { access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
     fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
     ${server(tcp, `unix:${unix}`)} ${server(`${h2} http2`, `unix:${h2unix} http2`)} }`,
  );
  const nginx = spawn('/usr/sbin/nginx', ['-c', join(folder, 'nginx.conf')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(nginx, 'exit');
  try {
    while (!existsSync(h2unix) || !existsSync(join(folder, 'pid'))) await sleep(20);
    return await underLoad({ tcp, unix, h2, h2unix, readOnly: true, idle: true }, times, async () => {
      nginx.kill('SIGHUP'); // nginx says nowhere when it is done
      await sleep(300);
    });
  } finally {
    nginx.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

// ---------------------------------------------------------------------------------------------------------------------

const pictured = 10_000;

/** What picture.js draws: for each request when it began, how long it waited, and whether it failed. */
function series(way, { requests, actions }) {
  const start = actions[0].at - 500;
  const at = (time) => Math.round(time - start);
  return {
    way,
    actions: actions.map((one) => at(one.at)).filter((time) => time < pictured),
    requests: requests
      .map((one) => [at(one.at), Number(waited(one).toFixed(1)), one.error === null ? 0 : 1])
      .filter(([time]) => time >= 0 && time < pictured)
      .sort(([a], [b]) => a - b),
  };
}

function writeData(ways) {
  const lines = ways.map(
    ({ way, actions, requests }) =>
      `{"way":${JSON.stringify(way)},"actions":${JSON.stringify(actions)},"requests":[\n${chunked(requests)}]}`,
  );
  writeFileSync(dataFile, `[${lines.join(',\n')}]\n`);
}

/** Lines that a diff can show. */
function chunked(requests) {
  const lines = [];
  for (let i = 0; i < requests.length; i += 20) lines.push(JSON.stringify(requests.slice(i, i + 20)).slice(1, -1));
  return lines.join(',\n');
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

  const half = await failing(rounds);
  tell(`half of them fail (${half.failed} did, ${half.unexpected} unexpectedly)`, half.result);
  const fifth = Math.max(1, Math.floor(half.memory.length / 5));
  const [warm, last] = [half.memory.slice(2 * fifth, 3 * fifth), half.memory.slice(-fifth)];
  console.error(`    MiB in a row: ${half.memory.map(Math.round).join(' ')}`);
  rows.push(
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
  );

  const upgradePicture = await withService('library', library, (lab, target) =>
    underLoad(target, 6, () => lab.systemctl('reload', 'web.service'), 1_000),
  );
  tell('upgrade', upgradePicture);
  const ways = {
    'restart with drain': () => restarted('library', 5, 1_000),
    'plain Node restart': () => restarted('plain', 8, 1_000),
    'pm2 reload': () => reloadedByPm2(4),
    'nginx reload (GET only)': () => nginxReloaded(15),
  };
  const pictures = { upgrade: series('upgrade', upgradePicture) };
  const own = { failed: summary(all).perThousand, p999: p999(upgrading) };
  for (const [name, measure] of Object.entries(ways)) {
    try {
      const result = await measure();
      tell(name, result);
      const { perThousand, p999: slow } = summary(result);
      rows.push(
        row({ bench, metric: 'failed per 1000 requests', ours: own.failed, other: perThousand, against: name }),
      );
      rows.push(row({ bench, metric: 'p99.9, ms', ours: own.p999, other: slow, against: name }));
      pictures[name] = series(name, result);
    } catch (error) {
      console.error(`${name} is left out: ${error.message}`);
    }
  }
  writeData([pictures['plain Node restart'], pictures['restart with drain'], pictures.upgrade].filter(Boolean));
  return rows;
}
