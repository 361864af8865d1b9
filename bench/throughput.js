// Requests per second of an http server on an adopted socket: the library's listen() against listen({ fd: 3 }) written
// by hand, and against a server on a port of its own. Two servers on ports of their own, which are the same, show what is noise.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { startActivated } from './activate.js';
import { measureBursts } from './bursts.js';
import { installPackage } from './installed.js';
import { pairedRow } from './rounds.js';

async function startBound(program) {
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  return { child, port: Number(line) };
}

export default async function throughput({ rounds = 100 }) {
  const installed = installPackage();
  const { program } = installed;
  try {
    const sides = await measureBursts(
      {
        library: () => startActivated(program('http-library')),
        handwritten: () => startActivated(program('http-handwritten')),
        bound: () => startBound(program('http-bound')),
        another: () => startBound(program('http-bound')),
      },
      rounds,
      20_000,
    );
    const compare = (key, metric, side, other, against, limit) =>
      pairedRow({ bench: 'throughput', metric, ours: sides[side][key], other: sides[other][key], against }, limit);
    const rows = [];
    for (const [key, metric, limit] of [
      ['perSecond', 'requests per second', { ratioAtLeast: 0.98 }],
      ['cpu', 'CPU µs per request'],
    ]) {
      rows.push(
        compare(key, metric, 'library', 'handwritten', 'listen({ fd: 3 })', limit),
        compare(key, metric, 'library', 'bound', 'own port', limit),
        compare(key, `listen({ fd: 3 }), ${metric}`, 'handwritten', 'bound', 'own port'),
        compare(key, `own port, ${metric}`, 'another', 'bound', 'own port'),
      );
    }
    return rows;
  } finally {
    installed.remove();
  }
}
