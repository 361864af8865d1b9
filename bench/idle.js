// `systemctl restart` of a program of each framework, with its own defaults, while one client has an idle keep-alive
// connection, as a browser has: how long it takes, how long a new visitor waits, whether the idle connection lives on. With
// FileDescriptorStoreMax= in the unit and without. Then the same with thousands of idle connections.
//
// BASELINE names another checkout of this package, built: its restart is measured as well.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cache, cleanEnvironment } from '../scripts/node-versions.js';
import { freePort, withSystemd } from './lab.js';
import { row } from './rounds.js';

const bench = 'idle';
const checkout = resolve(import.meta.dirname, '..');
const frameworks = ['express-5', 'fastify-5', 'nest-11/express', 'nest-12/express', 'hapi', 'koa', 'hono'];
const many = 10_000;

function get(port, agent = false) {
  return new Promise((done, fail) => {
    const request = http.get({ host: '127.0.0.1', port, agent }, (response) => {
      response.resume().on('end', () => done({ status: response.statusCode, reused: request.reusedSocket }));
    });
    request.on('error', fail);
  });
}

const timed = async (work) => {
  const started = performance.now();
  const result = await work();
  return { ms: performance.now() - started, result };
};

/** Keep-alive clients, one connection each, and nothing that closes them here. */
async function idleClients(port, count) {
  const agents = Array.from({ length: count }, () => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  for (let first = 0; first < count; first += 100) {
    await Promise.all(agents.slice(first, first + 100).map((agent) => get(port, agent)));
  }
  return {
    /** How many of them get an answer on the connection they had. */
    async kept() {
      let kept = 0;
      for (let first = 0; first < count; first += 100) {
        const answers = await Promise.all(
          agents.slice(first, first + 100).map((agent) => get(port, agent).catch(() => ({ reused: false }))),
        );
        kept += answers.filter(({ reused }) => reused).length;
      }
      return kept;
    },
    close: () => agents.forEach((agent) => agent.destroy()),
  };
}

/** MiB of a process: what it has, and what it had at most. */
function memory(lab, pid) {
  const text = readFileSync(lab.path(`/proc/${pid}/status`), 'utf8');
  const [now, most] = ['VmRSS', 'VmHWM'].map(
    (key) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(text)[1]) / 1024,
  );
  return { now, most };
}

/** Where the packages of an older version are, installed once; null for what is installed here. */
function packagesOf(name) {
  const project = dirname(name);
  if (project === '.') return null;
  const folder = join(cache, `bench-${project}`);
  if (!existsSync(join(folder, 'node_modules'))) {
    cpSync(join(checkout, 'test/programs', project), folder, { recursive: true });
    const options = { cwd: folder, env: cleanEnvironment(), stdio: ['ignore', 'ignore', 'inherit'] };
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], options);
  }
  return folder;
}

/** @param {{ name: string, store: number, from?: string, clients?: number, user?: string }} side */
async function restart({ name, store, from = checkout, clients = 1, user = 'root' }) {
  const port = await freePort();
  const packages = packagesOf(name);
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
    'web.service':
      `[Service]\nType=notify\nUser=${user}\nKillMode=mixed\nLimitNOFILE=65536\nTimeoutStopSec=60s\n${store > 0 ? `FileDescriptorStoreMax=${store}\n` : ''}` +
      `${packages ? `Environment=FRAMEWORK_FOLDER=${packages}\n` : ''}` +
      `ExecStart=${process.execPath} ${join(from, 'test/fixtures/framework.js')} ${name} 127.0.0.1:${port}\n`,
  };
  const more = [from, packages].filter((folder) => folder && folder !== checkout);
  return withSystemd(
    units,
    async (lab) => {
      const mainPid = async () => Number(await lab.systemctl('show', '--property=MainPID', '--value', 'web.service'));
      await get(port);
      const [empty, managerBefore] = [memory(lab, await mainPid()).now, memory(lab, 1).now];
      const idle = await idleClients(port, clients);
      const full = memory(lab, await mainPid()).now;
      let running = true;
      const restarting = timed(() => lab.systemctl('restart', 'web.service')).finally(() => (running = false));
      const visits = [];
      while (running) {
        visits.push(timed(() => get(port)));
        await sleep(50);
      }
      const visitor = Math.max(...(await Promise.all(visits)).map(({ ms }) => ms));
      const figures = { restart: (await restarting).ms, visitor, kept: await idle.kept() };
      Object.assign(figures, { empty, full, successor: memory(lab, await mainPid()).most });
      figures.manager = memory(lab, 1).most - managerBefore;
      idle.close();
      return figures;
    },
    more,
  );
}

export default async function idle() {
  const rows = [];
  const baseline = process.env.BASELINE && resolve(process.env.BASELINE);
  for (const name of frameworks) {
    const ours = await restart({ name, store: 16 });
    const without = await restart({ name, store: 0 });
    const before = baseline ? await restart({ name, store: 0, from: baseline }) : null;
    const tell = (what, { restart, visitor, kept }) =>
      `${what} ${Math.round(restart)} ms, visitor ${Math.round(visitor)} ms, ${kept} of 1 kept`;
    console.error(
      `  ${name}: ${tell('', ours)}; ${tell('without a store', without)}${before ? `; ${tell('baseline', before)}` : ''}`,
    );
    const metric = `${name}: new visitor waits, ms`;
    rows.push(row({ bench, metric, ours: ours.visitor, other: without.visitor, against: 'without a store' }));
    if (before) rows.push(row({ bench, metric, ours: ours.visitor, other: before.visitor, against: 'baseline' }));
    rows.push(row({ bench, metric: `${name}: idle connections lost of 1`, ours: 1 - ours.kept }, { atMost: 0 }));
  }
  for (const user of ['root', 'nobody']) {
    const crowd = await restart({ name: 'fastify-5', store: 16, clients: many, user });
    const { restart: took, visitor, kept, empty, full, successor, manager } = crowd;
    const about = `${many} idle connections, ${user}`;
    console.error(
      `  ${about}: restart ${Math.round(took)} ms, visitor ${Math.round(visitor)} ms, ${kept} kept; the service has ` +
        `${Math.round(empty)} MiB, with them ${Math.round(full)}, the next one at most ${Math.round(successor)}, the manager ` +
        `${manager.toFixed(1)} more`,
    );
    rows.push(row({ bench, metric: `${about}: restart, ms`, ours: took }));
    rows.push(row({ bench, metric: `${about}: new visitor waits, ms`, ours: visitor }));
    rows.push(row({ bench, metric: `${about}: lost`, ours: many - kept }, { atMost: 0 }));
    rows.push(
      row({
        bench,
        metric: `${about}: MiB of the next process, at most`,
        ours: successor,
        other: full,
        against: 'the one before',
      }),
    );
    rows.push(row({ bench, metric: `${about}: MiB that the manager needs more`, ours: manager }));
  }
  return rows;
}
