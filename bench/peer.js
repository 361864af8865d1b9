// What it costs to know who is calling: peerCredentials() by itself, and the connections per second of an http server on
// a unix socket that admits by a rule, against the same server open to everybody.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { peerCredentials } from '../dist/index.js';
import { stop } from './activate.js';
import { installPackage } from './installed.js';
import { interleave, median, row } from './rounds.js';

const calls = 20_000;
const connections = 1_000;
const atOnce = 32;

/** µs a call, round by round: CPU time, of which a busy machine takes nothing away, and time by the clock. */
async function measureCalls(folder, rounds) {
  const path = join(folder, 'calls');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const client = connect(path);
  const [accepted] = await once(server, 'connection');
  const measure = () => {
    const [clock, cpu] = [performance.now(), process.cpuUsage()];
    for (let i = 0; i < calls; i++) peerCredentials(accepted);
    const { user, system } = process.cpuUsage(cpu);
    return Promise.resolve({ cpu: (user + system) / calls, clock: ((performance.now() - clock) * 1000) / calls });
  };
  const { measured } = await interleave({ measured: measure }, rounds);
  client.destroy();
  server.close();
  return measured;
}

async function start(program, path, ...rule) {
  const child = spawn(process.execPath, [program, path, ...rule], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return { child, path };
}

/** One GET / on a connection of its own: the body. By hand: this load must be quicker than the server. */
function get(path) {
  return new Promise((resolve, reject) => {
    let answer = '';
    connect(path)
      .setEncoding('latin1')
      .on('data', (text) => (answer += text))
      .on('end', () => resolve(answer.slice(answer.indexOf('\r\n\r\n') + 4)))
      .on('error', reject)
      .write('GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n');
  });
}

/** Connections per second, and the server's CPU time for each in µs. */
async function load({ path }) {
  const before = Number(await get(path));
  const begin = performance.now();
  let left = connections;
  const client = async () => {
    while (left-- > 0) await get(path);
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  const seconds = (performance.now() - begin) / 1000;
  return { perSecond: connections / seconds, cpu: (Number(await get(path)) - before) / connections };
}

/** Bursts on both servers in turn. */
async function measureServers(program, folder, rounds) {
  // Nobody is let in by the first number, everybody here by the last: all of the rule is looked at.
  const rule = JSON.stringify({ uids: [4_000_000_000], gids: [process.getegid()] });
  const servers = {
    authorized: await start(program, join(folder, 'authorized'), rule),
    open: await start(program, join(folder, 'open')),
  };
  try {
    const sides = Object.entries(servers).map(([side, server]) => [side, () => load(server)]);
    return await interleave(Object.fromEntries(sides), rounds);
  } finally {
    for (const { child } of Object.values(servers)) await stop(child);
    for (const { path } of Object.values(servers)) rmSync(path, { force: true });
  }
}

export default async function peer({ rounds = 60 }) {
  const installed = installPackage();
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  const results = { authorized: [], open: [] };
  try {
    const perCall = await measureCalls(folder, rounds);
    for (let left = rounds; left > 0; left -= 10) {
      const part = await measureServers(installed.program('http-unix'), folder, Math.min(left, 10));
      for (const side of Object.keys(results)) results[side].push(...part[side]);
    }
    const bench = 'peer';
    const of = (side, key) => median(results[side].map((one) => one[key]));
    const compare = (metric, key, limit) =>
      row({ bench, metric, ours: of('authorized', key), other: of('open', key), against: 'open server' }, limit);
    return [
      row(
        { bench, metric: 'peerCredentials(), CPU µs a call', ours: median(perCall.map(({ cpu }) => cpu)) },
        { atMost: 3 },
      ),
      row({ bench, metric: 'the same by the clock', ours: median(perCall.map(({ clock }) => clock)) }),
      compare('connections per second', 'perSecond', { ratioAtLeast: 0.95 }),
      compare('CPU µs per connection', 'cpu'),
    ];
  } finally {
    installed.remove();
    rmSync(folder, { recursive: true });
  }
}
