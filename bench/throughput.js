// Requests per second of an http server on an adopted socket: the library's listen() against listen({ fd: 3 }) written
// by hand, and against a server on a port of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { startActivated } from './activate.js';
import { measureBursts } from './bursts.js';
import { installPackage } from './installed.js';
import { row } from './rounds.js';

async function startBound(program) {
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  return { child, port: Number(line) };
}

export default async function throughput({ rounds = 100 }) {
  const installed = installPackage();
  const { program } = installed;
  try {
    const { library, handwritten, bound } = await measureBursts(
      {
        library: () => startActivated(program('http-library')),
        handwritten: () => startActivated(program('http-handwritten')),
        bound: () => startBound(program('http-bound')),
      },
      rounds,
      20_000,
    );
    const compare = (metric, key, other, against, limit) =>
      row({ bench: 'throughput', metric, ours: library[key], other: other[key], against }, limit);
    return [
      compare('requests per second', 'perSecond', handwritten, 'listen({ fd: 3 })', { ratioAtLeast: 0.98 }),
      compare('requests per second', 'perSecond', bound, 'own port', { ratioAtLeast: 0.98 }),
      compare('CPU µs per request', 'cpu', handwritten, 'listen({ fd: 3 })'),
      compare('CPU µs per request', 'cpu', bound, 'own port'),
    ];
  } finally {
    installed.remove();
  }
}
