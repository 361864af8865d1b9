// 100 upgrades of a program that has bound its sockets itself, by `listenfds upgrade PID` under the mixed load of restart.js, then
// a stop: nobody else holds the sockets, so what waits in their queues has to be answered as well. Then the same program under
// `listenfds run`, which holds them.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './lab.js';
import { row } from './rounds.js';
import { summary, tell, underLoad } from './under-load.js';

const bench = 'upgrade-self';
const run = promisify(execFile);
const checkout = resolve(import.meta.dirname, '..');
const cli = join(checkout, 'dist/cli.js');
const program = [process.execPath, join(checkout, 'bench/services/library.js')];

/** Requests that are on their way when the stop comes, each on a connection of its own. */
const last = 60;

/** @returns how many of them were not answered */
async function stopAmid({ tcp, unix }, stop) {
  const [host, port] = tcp.split(':');
  const ask = (to, i) =>
    new Promise((settle) => {
      const request = http.get({ ...to, path: `/slow/${(i % 10) * 20}`, agent: false }, (response) => {
        response.resume().once('end', () => settle(response.statusCode !== 200));
      });
      request.once('error', () => settle(true));
      request.once('socket', (socket) => socket.once('connect', () => (connected += 1)));
    });
  let connected = 0;
  const answers = Array.from({ length: last }, (_, i) => ask(i % 2 ? { host, port } : { socketPath: unix }, i));
  while (connected < last) await sleep(1);
  await stop();
  return (await Promise.all(answers)).filter(Boolean).length;
}

/** @param {'self' | 'run'} way */
async function measure(way, rounds) {
  const folder = mkdtempSync(join(tmpdir(), 'upgrade-self-'));
  const [tcp, h2] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const [unix, h2unix] = [join(folder, 'web.sock'), join(folder, 'h2.sock')];
  const addresses = [tcp, unix, h2, h2unix];
  const env = { ...process.env, ADDRESSES: addresses.join(' '), ACTIVATION: 'auto', XDG_RUNTIME_DIR: folder };
  const command =
    way === 'self'
      ? program
      : [process.execPath, cli, 'run', '--now', ...addresses.flatMap((one) => ['-l', one]), '--', ...program];
  const first = spawn(command[0], command.slice(1), { env, stdio: ['ignore', 'inherit', 'pipe'] });
  let said = '';
  first.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  const ended = once(first, 'exit');
  const says = async (pattern) => {
    for (let found; ; await sleep(10)) if ((found = pattern.exec(said))) return found;
  };
  try {
    let pid = way === 'self' ? first.pid : Number((await says(/pid (\d+) is ready/))[1]);
    if (way === 'self') {
      const up = () => run('curl', ['-sf', '--unix-socket', h2unix, '--http2-prior-knowledge', 'http://x/']);
      while (
        await up().then(
          () => false,
          () => true,
        )
      )
        await sleep(50);
    }
    const upgrade = async () => {
      const { stdout } = await run(process.execPath, [cli, 'upgrade', String(pid)]);
      pid = Number(/to pid (\d+)/.exec(stdout)[1]);
    };
    const result = await underLoad({ tcp, unix, h2, h2unix, idle: true, streams: true }, rounds, upgrade, 100);
    const lost = await stopAmid({ tcp, unix }, () => process.kill(way === 'self' ? pid : first.pid, 'SIGTERM'));
    await ended; // of a program that bound itself the first process has left long ago
    return { result, lost };
  } finally {
    first.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

export default async function upgradeSelf({ rounds = 100 }) {
  const rows = [];
  for (const [way, what] of [
    ['self', 'a program that has bound its sockets'],
    ['run', 'the same under listenfds run'],
  ]) {
    const { result, lost } = await measure(way, rounds);
    tell(what, result);
    const { requests, failed } = summary(result);
    rows.push(
      row(
        { bench, metric: `failed of ${requests} requests, ${rounds} upgrades of ${what}`, ours: failed },
        { atMost: 0 },
      ),
      row({ bench, metric: `of ${last} at the stop of ${what}`, ours: lost }, { atMost: 0 }),
    );
  }
  return rows;
}
