// An unmodified Express service: with the preload on a socket it was passed, against itself on a port of its own. And what
// the preload costs a program that nothing was passed to.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { stop } from './activate.js';
import { measureBursts } from './bursts.js';
import { installPackage } from './installed.js';
import { interleave, medianDifference, pairedRow, row } from './rounds.js';

const run = promisify(execFile);

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

export default async function register({ rounds = 100 }) {
  const installed = installPackage();
  const { program } = installed;
  try {
    const { preload: ours, own: other } = await measureBursts(
      { preload: () => startPreloaded(program), own: () => startOwn(program) },
      rounds,
      4_000,
    );
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
    const against = 'own port';
    const pick = (side, key) => starts[side].map((one) => one[key]);
    const added = (key) => medianDifference(pick('preload', key), pick('own', key));
    return [
      pairedRow(
        { bench, metric: 'requests per second', ours: ours.perSecond, other: other.perSecond, against },
        { ratioAtLeast: 0.98 },
      ),
      pairedRow({ bench, metric: 'CPU µs per request', ours: ours.cpu, other: other.cpu, against }),
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
