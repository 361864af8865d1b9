// What clients notice of restarts while developing: `listenfds run --watch` beside nodemon, with the same app and the same
// client, which connects anew for each request while the app is restarted by changes of a file.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { get } from '../test/support/http.js';
import { installPackage } from './installed.js';
import { freePort } from './lab.js';
import { row } from './rounds.js';

const require = createRequire(import.meta.url);
const command = resolve(import.meta.dirname, '../dist/cli.js');
const nodemon = require.resolve('nodemon/bin/nodemon.js');

const starters = {
  ours: (app, watched, port) => [
    command,
    'run',
    '-q',
    '-l',
    `127.0.0.1:${port}`,
    '--now',
    '-w',
    watched,
    '--',
    'node',
    app,
  ],
  // SIGTERM, so that the app may drain as it does for us.
  nodemon: (app, watched) => [nodemon, '--quiet', '--signal', 'SIGTERM', '--watch', watched, app],
};

const pause = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));

/** Connects again and again until somebody else answers and there were enough connections; returns who answered last. */
async function connectUntilReplaced(port, old, atLeast, counts) {
  let last = old;
  let made = 0;
  const client = async () => {
    while (last === old || made < atLeast) {
      const start = performance.now();
      made += 1;
      try {
        const answer = await get(port);
        if (answer === '') throw new Error('closed without an answer');
        last = answer;
        counts.slowest = Math.max(counts.slowest, performance.now() - start);
        counts.answered += 1;
      } catch {
        counts.lost += 1;
        await pause(2); // or it would be thousands
      }
    }
  };
  await Promise.all([client(), client(), client(), client()]);
  return last;
}

async function measure(side, app, restarts) {
  const folder = mkdtempSync(join(tmpdir(), 'listenfds-bench-'));
  const watched = join(folder, 'watched.js');
  writeFileSync(watched, '');
  const port = await freePort();
  const child = spawn(process.execPath, starters[side](app, watched, port), {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PORT: String(port) },
    detached: true,
  });
  const counts = { answered: 0, lost: 0, slowest: 0 };
  try {
    let pid = await connectUntilReplaced(port, null, 1, { ...counts });
    for (let i = 0; i < restarts; i++) {
      writeFileSync(watched, `// ${i}`);
      pid = await connectUntilReplaced(port, pid, 50, counts);
    }
    return counts;
  } finally {
    process.kill(-child.pid, 'SIGKILL');
    await once(child, 'close');
    rmSync(folder, { recursive: true });
  }
}

export default async function run({ rounds: restarts = 20 }) {
  const installed = installPackage();
  try {
    const app = installed.program('run-app');
    const [ours, other] = [await measure('ours', app, restarts), await measure('nodemon', app, restarts)];
    const compare = (metric, key, limit) =>
      row({ bench: 'run', metric, ours: ours[key], other: other[key], against: 'nodemon' }, limit);
    return [
      compare(`connections refused or reset, ${restarts} restarts`, 'lost', { atMost: 0 }),
      compare('connections answered', 'answered'),
      compare('slowest answer, ms', 'slowest'),
    ];
  } finally {
    installed.remove();
  }
}
