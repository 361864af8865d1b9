// An upgrade, a restart with serve(), and the ways that others have, under the mixed load. The latencies over time go to
// docs/zero-downtime.json, from which picture.js draws docs/zero-downtime.svg.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './lab.js';
import { library, reloadedByPm2, restarted, summary, tell, underLoad, waited, withService } from './under-load.js';
import { row } from './rounds.js';

const bench = 'upgrade-ways';
const dataFile = resolve(import.meta.dirname, '../docs/zero-downtime.json');

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

export default async function upgradeWays() {
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
  const own = summary(upgradePicture);
  const rows = [];
  for (const [name, measure] of Object.entries(ways)) {
    try {
      const result = await measure();
      tell(name, result);
      const { perThousand, p999: slow } = summary(result);
      rows.push(
        row({ bench, metric: 'failed per 1000 requests', ours: own.perThousand, other: perThousand, against: name }),
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
