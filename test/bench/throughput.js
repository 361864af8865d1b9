// Requests per second of an http server on an adopted socket: the library's listen() against listen({ fd: 3 }) written
// by hand, and against a server on a port of its own. Load by autocannon from this process.
import autocannon from 'autocannon';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get, startActivated, stop } from './activate.js';
import { installPackage } from './installed.js';
import { interleave, median, row } from './rounds.js';

async function startBound(program) {
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  return { child, port: Number(line) };
}

const requests = 4000;

/** One short burst of load: requests per second, and the server's CPU time per request in µs. */
async function load({ port }) {
  const before = Number(await get(port));
  const { start, finish } = await autocannon({
    url: `http://127.0.0.1:${port}/`,
    connections: 32,
    amount: requests,
    sampleInt: 5, // it also is how precisely autocannon notices that it is done
  });
  const seconds = (finish - start) / 1000;
  const cpu = Number(await get(port)) - before;
  return { perSecond: requests / seconds, cpu: cpu / requests };
}

/** Bursts on three servers in turn. */
async function measureServers(program, rounds) {
  const servers = {
    library: await startActivated(program('http-library')),
    handwritten: await startActivated(program('http-handwritten')),
    bound: await startBound(program('http-bound')),
  };
  try {
    const sides = Object.entries(servers).map(([side, server]) => [side, () => load(server)]);
    return await interleave(Object.fromEntries(sides), rounds);
  } finally {
    for (const { child } of Object.values(servers)) await stop(child);
  }
}

export default async function throughput({ rounds = 60 }) {
  const installed = installPackage();
  const results = { library: [], handwritten: [], bound: [] };
  try {
    // What the optimising compiler does to one process it may not do to the next: fresh servers every ten rounds.
    for (let left = rounds; left > 0; left -= 10) {
      const part = await measureServers(installed.program, Math.min(left, 10));
      for (const side of Object.keys(results)) results[side].push(...part[side]);
    }
  } finally {
    installed.remove();
  }

  const of = (side, key) => median(results[side].map((one) => one[key]));
  const compare = (metric, key, side, against, limit) =>
    row({ bench: 'throughput', metric, ours: of('library', key), other: of(side, key), against }, limit);
  return [
    compare('requests per second', 'perSecond', 'handwritten', 'listen({ fd: 3 })', { ratioAtLeast: 0.98 }),
    compare('requests per second', 'perSecond', 'bound', 'own port', { ratioAtLeast: 0.98 }),
    compare('CPU µs per request', 'cpu', 'handwritten', 'listen({ fd: 3 })'),
    compare('CPU µs per request', 'cpu', 'bound', 'own port'),
  ];
}
