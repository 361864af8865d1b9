// `systemctl restart` of a program of each framework, with its own defaults, while one client has an idle keep-alive
// connection, as a browser has: how long it takes, how long a new visitor waits, whether the idle connection lives on. With
// FileDescriptorStoreMax= in the unit and without. Then the same with thousands of idle connections.
//
// BASELINE names another checkout of this package, built: its restart is measured as well.
import http from 'node:http';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, withSystemd } from './lab.js';
import { row } from './rounds.js';

const bench = 'idle';
const checkout = resolve(import.meta.dirname, '..');
const frameworks = ['express-5', 'fastify-5', 'nest-express', 'hapi', 'koa', 'hono'];
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

/** @param {{ name: string, store: number, from?: string, clients?: number }} side */
async function restart({ name, store, from = checkout, clients = 1 }) {
  const port = await freePort();
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
    'web.service':
      `[Service]\nType=notify\nKillMode=mixed\nLimitNOFILE=65536\nTimeoutStopSec=60s\n${store > 0 ? `FileDescriptorStoreMax=${store}\n` : ''}` +
      `ExecStart=${process.execPath} ${join(from, 'test/fixtures/framework.js')} ${name} 127.0.0.1:${port}\n`,
  };
  const more = from === checkout ? [] : [from];
  return withSystemd(
    units,
    async (lab) => {
      const idle = await idleClients(port, clients);
      let running = true;
      const restarting = timed(() => lab.systemctl('restart', 'web.service')).finally(() => (running = false));
      const visits = [];
      while (running) {
        visits.push(timed(() => get(port)));
        await sleep(50);
      }
      const visitor = Math.max(...(await Promise.all(visits)).map(({ ms }) => ms));
      const figures = { restart: (await restarting).ms, visitor, kept: await idle.kept() };
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
  const crowd = await restart({ name: 'fastify-5', store: 16, clients: many });
  console.error(`  ${many} idle connections: ${JSON.stringify(crowd)}`);
  rows.push(row({ bench, metric: `${many} idle connections: restart, ms`, ours: crowd.restart }));
  rows.push(row({ bench, metric: `${many} idle connections: new visitor waits, ms`, ours: crowd.visitor }));
  rows.push(row({ bench, metric: `${many} idle connections: lost`, ours: many - crowd.kept }, { atMost: 0 }));
  return rows;
}
