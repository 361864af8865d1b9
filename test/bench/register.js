// An unmodified Express service: with the preload on a socket it was passed, against itself on a port of its own. And what
// the preload costs a program that nothing was passed to.
import autocannon from 'autocannon';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { get, stop } from './activate.js';
import { installPackage } from './installed.js';
import { interleave, median, medianDifference, row } from './rounds.js';

const run = promisify(execFile);
const requests = 4000;

const preload = (program) =>
  `--import=${pathToFileURL(join(dirname(program('import-nothing')), 'node_modules/listenfds/dist/register.js'))}`;

/** Starts it and waits until it listens. */
async function start(args, stdio, env) {
  const began = performance.now();
  const script = 'LISTEN_PID=$$ exec "$@"';
  const child = spawn('/bin/sh', ['-c', script, 'sh', process.execPath, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit', ...stdio],
  });
  const [line] = await once(child.stdout, 'data');
  const wall = performance.now() - began;
  const [port, cpu] = String(line).split(' ').map(Number);
  return { child, port, wall, cpu: cpu / 1000 };
}

async function startPreloaded(program) {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const PORT = String(listener.address().port);
  const { fd } = listener._handle;
  const started = start([preload(program), program('express-unmodified')], [fd], { PORT, LISTEN_FDS: '1' });
  listener.close();
  return started;
}

const startOwn = (program) => start([program('express-unmodified')], [], { PORT: '0' });

async function load({ port }) {
  const before = Number(await get(port));
  const { start: began, finish } = await autocannon({
    url: `http://127.0.0.1:${port}/`,
    connections: 32,
    amount: requests,
    sampleInt: 5,
  });
  const cpu = Number(await get(port)) - before;
  return { perSecond: requests / ((finish - began) / 1000), cpu: cpu / requests };
}

/** Bursts on fresh servers every ten rounds: what the compiler does to one process it may not do to the next. */
async function measureThroughput(program, rounds) {
  const results = { preload: [], own: [] };
  for (let left = rounds; left > 0; left -= 10) {
    const servers = { preload: await startPreloaded(program), own: await startOwn(program) };
    const sides = Object.entries(servers).map(([side, server]) => [side, () => load(server)]);
    const part = await interleave(Object.fromEntries(sides), Math.min(left, 10));
    for (const side of Object.keys(results)) results[side].push(...part[side]);
    for (const { child } of Object.values(servers)) await stop(child);
  }
  return results;
}

async function started(starting) {
  const { child, wall, cpu } = await starting;
  await stop(child);
  return { wall, cpu };
}

/** An empty program, from start to end. */
async function timed(...args) {
  const began = performance.now();
  await run(process.execPath, args);
  return performance.now() - began;
}

export default async function register({ rounds = 60 }) {
  const installed = installPackage();
  const { program } = installed;
  try {
    const throughput = await measureThroughput(program, rounds);
    const nothing = program('import-nothing');
    const starts = await interleave(
      {
        preload: () => started(startPreloaded(program)),
        own: () => started(startOwn(program)),
        idlePreload: () => timed(preload(program), nothing),
        idle: () => timed(nothing),
      },
      rounds,
    );
    const bench = 'register';
    const of = (side, key) => median(throughput[side].map((one) => one[key]));
    const against = 'own port';
    const pick = (side, key) => starts[side].map((one) => one[key]);
    const added = (key) => medianDifference(pick('preload', key), pick('own', key));
    return [
      row(
        {
          bench,
          metric: 'requests per second',
          ours: of('preload', 'perSecond'),
          other: of('own', 'perSecond'),
          against,
        },
        { ratioAtLeast: 0.98 },
      ),
      row({ bench, metric: 'CPU µs per request', ours: of('preload', 'cpu'), other: of('own', 'cpu'), against }),
      row(
        {
          bench,
          metric: 'start until listening, added ms',
          ours: added('wall'),
          against,
        },
        { atMost: 5 },
      ),
      row({ bench, metric: 'the same, CPU ms', ours: added('cpu'), against }),
      row({
        bench,
        metric: 'start, nothing passed, added ms',
        ours: medianDifference(starts.idlePreload, starts.idle),
        against: 'no preload',
      }),
    ];
  } finally {
    installed.remove();
  }
}
