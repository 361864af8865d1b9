// Unix datagrams received per second, against the two packages on npm that can: the same C program sends to each in turn.
// And whether ten million of them leave anything behind.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { stop } from './activate.js';
import { installPackage } from './installed.js';
import { interleave, median, row } from './rounds.js';

const messages = 200_000;
const size = 100;
const million = 1_000_000;

/** unix-dgram has an install script, which npm runs only when told so: they are no dependencies of this project. */
const peers = { 'unix-dgram': '2.0.7', 'node-unix-socket': '0.2.7' };

/** Installs them once a machine, beside the programs that use them. */
function installPeers(into) {
  const cache = join(tmpdir(), `listenfds-bench-peers-${process.getuid()}-${process.versions.modules}`);
  const modules = join(cache, 'node_modules');
  const addon = join(modules, 'unix-dgram/build/Release/unix_dgram.node');
  if (!existsSync(addon) || !existsSync(join(modules, 'node-unix-socket'))) {
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    if (statSync(cache).uid !== process.getuid()) throw new Error(`${cache} is somebody else's`);
    writeFileSync(join(cache, 'package.json'), '{ "private": true }');
    const packages = Object.entries(peers).map(([name, version]) => `${name}@${version}`);
    const quiet = { cwd: cache, stdio: 'ignore' };
    execFileSync('npm', ['install', '--silent', '--ignore-scripts', ...packages], quiet);
    const nodeGyp = resolve(import.meta.dirname, '../node_modules/.bin/node-gyp');
    const nodedir = resolve(process.execPath, '../..');
    const headers = existsSync(join(nodedir, 'include/node/node.h')) ? [`--nodedir=${nodedir}`] : [];
    execFileSync(nodeGyp, ['rebuild', '--silent', ...headers], { ...quiet, cwd: join(modules, 'unix-dgram') });
  }
  execFileSync('cp', ['-r', ...peersAndTheirs(modules), into]);
}

const peersAndTheirs = (modules) =>
  execFileSync('ls', [modules], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((name) => join(modules, name));

class Receiver {
  #lines;

  static async start(program, path, count, ...flags) {
    const receiver = new Receiver();
    receiver.path = path;
    receiver.child = spawn(process.execPath, [...flags, program, path, String(count)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    receiver.#lines = createInterface({ input: receiver.child.stdout })[Symbol.asyncIterator]();
    await receiver.#lines.next();
    return receiver;
  }

  async report() {
    return JSON.parse((await this.#lines.next()).value);
  }

  async take(flood, count) {
    const sender = spawn(flood, [this.path, String(count), String(size)], { stdio: 'inherit' });
    const ended = once(sender, 'close');
    const report = await this.report();
    const [code] = await ended;
    if (code !== 0 || report.bytes !== count * size) throw new Error(`${this.path}: not all messages arrived`);
    return report;
  }
}

/** @returns {Promise<object[]>} rows, see rounds.js */
export default async function datagram({ rounds = 7 } = {}) {
  const installed = installPackage();
  const folder = mkdtempSync(join(tmpdir(), 'lfd-bench-'));
  const running = [];
  try {
    installPeers(resolve(installed.program('x'), '../node_modules'));
    const flood = join(folder, 'flood');
    execFileSync('cc', ['-O2', '-o', flood, join(import.meta.dirname, 'flood.c')]);
    const start = async (name, count, ...flags) => {
      const path = join(folder, `${name}-${count}`);
      const receiver = await Receiver.start(installed.program(`datagrams-${name}`), path, count, ...flags);
      running.push(receiver.child);
      return receiver;
    };
    const names = ['library', ...Object.keys(peers)];
    const sides = {};
    for (const name of names) {
      const receiver = await start(name, messages);
      sides[name] = () => receiver.take(flood, messages);
    }
    const results = await interleave(sides, rounds);
    const rates = Object.fromEntries(names.map((name) => [name, median(results[name].map((one) => one.perSecond))]));
    const costs = Object.fromEntries(names.map((name) => [name, median(results[name].map((one) => one.cpu))]));
    const [better, worse] = Object.keys(peers).toSorted((a, b) => rates[b] - rates[a]);

    const lasting = await start('library', million, '--expose-gc');
    const sizes = [];
    for (let i = 0; i < 10; i++) sizes.push((await lasting.take(flood, million)).rss / 2 ** 20);

    const bench = 'datagram';
    const received = (against) => ({
      bench,
      metric: 'datagrams/s',
      ours: rates.library,
      other: rates[against],
      against,
    });
    const cost = (against) => ({ bench, metric: 'CPU µs each', ours: costs.library, other: costs[against], against });
    return [
      row(received(better), { ratioAtLeast: 1.5 }),
      row(received(worse)),
      row(cost(better)),
      row(cost(worse)),
      row(
        { bench, metric: 'MiB more after 10 M than after 1 M datagrams', ours: sizes.at(-1) - sizes[0] },
        { atMost: 8 },
      ),
    ];
  } finally {
    for (const child of running) await stop(child);
    installed.remove();
    rmSync(folder, { recursive: true });
  }
}
