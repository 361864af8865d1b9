// A service under a real systemd and the mixed load: what restart.js and upgrade.js share.
import { execFile } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { cached } from '../scripts/node-versions.js';
import { freePort, withSystemd } from './lab.js';
import { now, startLoad } from './mixed-load.js';

const checkout = realpathSync(resolve(import.meta.dirname, '..'));
const node = process.execPath;
const program = (name) => join(checkout, `bench/services/${name}.js`);
const run = promisify(execFile);

/** The lines of [Service] that docs/zero-downtime.md gives for serve(). */
export const library = 'Type=notify\nKillMode=mixed\nFileDescriptorStoreMax=16';

/** The longest that a handler is told to take: of a request in flight. Milliseconds. */
export const longestRequest = 200;

/** How long the load is let run before the first restart and after the last one. */
export const settle = 1_000;

/**
 * Boots a manager with `web.socket` and `web.service`, which runs services/NAME.js.
 *
 * @param {string} name
 * @param {string} settings  more lines of [Service]
 * @param {(lab: object, target: object) => Promise<T>} body
 * @template T
 */
export async function withService(name, settings, body) {
  const addresses = [`127.0.0.1:${await freePort()}`, '/run/web.sock', `127.0.0.1:${await freePort()}`, '/run/h2.sock'];
  const units = {
    'web.socket': `[Socket]\n${addresses.map((one) => `ListenStream=${one}\n`).join('')}TriggerLimitIntervalSec=0\n`,
    'web.service':
      `[Unit]\nStartLimitIntervalSec=0\n[Service]\n${settings}\nEnvironment="ADDRESSES=${addresses.join(' ')}"\n` +
      `ExecStart=${node} ${program(name)}\nExecReload=${node} ${join(checkout, 'dist/cli.js')} upgrade $MAINPID\n`,
  };
  return withSystemd(units, (lab) => {
    const [tcp, unix, h2, h2unix] = addresses;
    const target = { tcp, unix: lab.path(unix), h2, h2unix: lab.path(h2unix), idle: true, streams: true };
    return body(lab, target);
  });
}

/**
 * Does something to a service under load, again and again.
 *
 * @param {object} target  see startLoad()
 * @param {number} times
 * @param {(turn: number) => Promise<unknown>} act
 * @param {number} [pause]  ms in between
 * @param {() => Promise<unknown>} [then]  done after each, and not timed
 */
export async function underLoad(target, times, act, pause = 300, then = async () => {}) {
  const load = await startLoad(target);
  await sleep(settle);
  const actions = [];
  for (let turn = 0; turn < times; turn++) {
    const at = now();
    const outcome = await act(turn);
    actions.push({ at, ms: now() - at, outcome });
    await sleep(pause);
    await then();
  }
  await sleep(settle);
  const requests = await load.stop();
  for (const action of actions) action.untilAnswer = untilAnswer(action, requests);
  return { requests, actions };
}

/**
 * From its begin until somebody who came after its end has an answer: READY=1 is said when all listen, and then there is a
 * queue to work through.
 */
function untilAnswer({ at, ms }, requests) {
  const answers = requests.filter((one) => one.error === null && one.at >= at + ms && one.kind.startsWith('new'));
  return Math.max(ms, answers.reduce((first, one) => Math.min(first, one.at + waited(one)), Infinity) - at);
}

/** The service `name` restarted by `systemctl restart`; of ours `boots` says how long each start took. */
export function restarted(name, times, pause) {
  const isOurs = name === 'library';
  return withService(name, isOurs ? library : 'Type=simple', async (lab, target) => {
    const boots = [];
    const act = () => lab.systemctl('restart', 'web.service');
    const result = await underLoad(target, times, act, pause, async () => isOurs && boots.push(await lastBoot(lab)));
    return { ...result, boots };
  });
}

/** From the start of the process until READY=1. Milliseconds. */
async function lastBoot(lab) {
  const properties = ['ExecMainStartTimestampMonotonic', 'ActiveEnterTimestampMonotonic'];
  const text = await lab.systemctl('show', `--property=${properties}`, 'web.service');
  const [began, ready] = properties.map((name) => Number(new RegExp(`^${name}=(\\d+)$`, 'm').exec(text)[1]));
  return (ready - began) / 1000;
}

/** A boot of the program with nothing else to do: the median of some. */
export function bootTime() {
  return withService('library', library, async (lab) => {
    const times = [];
    for (let i = 0; i < 7; i++) {
      await lab.systemctl('restart', 'web.service');
      times.push(await lastBoot(lab));
    }
    return percentile(times, 0.5);
  });
}

/** `pm2 reload` of a cluster of two, without socket activation. pm2 is big, so it is fetched only here. */
export async function reloadedByPm2(times) {
  const installed = await cached('pm2-7', { pm2: '7' });
  const folder = mkdtempSync(join(tmpdir(), 'pm2-'));
  const env = { ...process.env, PM2_HOME: join(folder, 'home'), PM2_DISCRETE_MODE: 'true' };
  const pm2 = (...args) => run(join(installed, 'node_modules/.bin/pm2'), args, { cwd: folder, env });
  try {
    const [tcp, h2] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const [unix, h2unix] = [join(folder, 'web.sock'), join(folder, 'h2.sock')];
    const web = {
      name: 'web',
      script: program('pm2'),
      exec_mode: 'cluster',
      instances: 2,
      wait_ready: true,
      listen_timeout: 20_000,
      env: { ADDRESSES: [tcp, unix, h2, h2unix].join(' ') },
    };
    writeFileSync(join(folder, 'ecosystem.config.json'), JSON.stringify({ apps: [web] }));
    await pm2('start', 'ecosystem.config.json');
    return await underLoad({ tcp, unix, h2, h2unix, idle: true, streams: true }, times, () => pm2('reload', 'web'));
  } finally {
    await pm2('kill').catch(() => {});
    rmSync(folder, { recursive: true, force: true });
  }
}

// ---------------------------------------------------------------------------------------------------------------------

export function percentile(values, part) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

/** Math.max() of more values than a call may have. */
const largest = (values) => values.reduce((most, value) => Math.max(most, value), 0);

/** What a request took beyond what its handler was told to take. */
export const waited = ({ ms, own }) => Math.max(0, ms - own);

/** @param {{ requests: import('./mixed-load.js').Request[], actions: { ms: number }[] }} result */
export function summary({ requests, actions }) {
  const failures = requests.filter(({ error }) => error !== null);
  const answered = requests.filter(({ error }) => error === null);
  const why = new Map();
  for (const { kind, error } of failures) why.set(`${kind}: ${error}`, (why.get(`${kind}: ${error}`) ?? 0) + 1);
  return {
    requests: requests.length,
    failed: failures.length,
    perThousand: (failures.length / requests.length) * 1000,
    perAction: failures.length / actions.length,
    slowest: largest(answered.map(waited)),
    p999: percentile(
      answered.map(({ ms }) => ms),
      0.999,
    ),
    longest: largest(actions.map(({ untilAnswer }) => untilAnswer)),
    refused: requests.filter(({ refused }) => refused > 0).length,
    visitor: largest(answered.filter(({ kind }) => kind.startsWith('new')).map(waited)),
    promised: requests.filter(({ kept }) => kept !== null).length,
    lost: requests.filter(({ kept }) => kept === false).length,
    streams: answered.filter(({ kind }) => /^(?:event|Web)/.test(kind)).length,
    why: [...why].sort(([, a], [, b]) => b - a),
  };
}

/** On standard error: the rows have no room for it. */
export function tell(side, result) {
  const { requests, failed, slowest, p999, longest, refused, why, visitor, promised, lost, streams } = summary(result);
  const figures =
    `${failed} of ${requests} failed, slowest wait ${Math.round(slowest)} ms, of a new visitor ${Math.round(visitor)} ms, ` +
    `p99.9 ${Math.round(p999)} ms, ${lost} of ${promised} idle connections lost, ${streams} streams begun`;
  console.error(`  ${side}: ${result.actions.length} times (longest ${Math.round(longest)} ms): ${figures}`);
  if (refused > 0) console.error(`    ${refused} HTTP/2 requests were refused unprocessed and asked for again`);
  for (const [what, count] of why.slice(0, 8)) console.error(`    ${count} × ${what}`);
}
