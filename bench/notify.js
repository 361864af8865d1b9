// What one message to the service manager costs: notify() beside the packages that bind libsystemd, and beside starting
// systemd-notify. All of them send to one receiver, a process that reads and throws away.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { notify } from '../dist/index.js';
import { interleave, median, row } from './rounds.js';

const project = resolve(import.meta.dirname, '..');

const receiver = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('ready', flush=True)
while True: s.recv(8192)
`;

/** The peers compile against libsystemd-dev, which not everybody has: they are fetched and built here, not with us. */
const peers = {
  'sd-notify': (module) => (text) => module.sendStatus(text),
  'sd-daemon': (module) => (text) => module.notify(`STATUS=${text}`),
};

async function buildPeers(folder) {
  const built = {};
  writeFileSync(join(folder, 'package.json'), '{}');
  for (const [name, sender] of Object.entries(peers)) {
    try {
      const quiet = { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] };
      execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', name], quiet);
      const home = join(folder, 'node_modules', name);
      const compile = [join(project, 'node_modules/node-gyp/bin/node-gyp.js'), 'rebuild', '--loglevel=error'];
      execFileSync(process.execPath, compile, { ...quiet, cwd: home });
      const { version } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'));
      const require = createRequire(join(folder, 'package.json'));
      const module = await import(pathToFileURL(require.resolve(name)).href);
      built[`${name} ${version}`] = sender(module.default ?? module);
    } catch (error) {
      console.error(`${name} is left out: ${error.message.split('\n')[0]} (libsystemd-dev is needed)`);
    }
  }
  return built;
}

const messages = 5000;

/** µs a message. */
function perMessage(send) {
  return () => {
    const start = performance.now();
    for (let i = 0; i < messages; i++) send(`message ${i}`);
    return Promise.resolve(((performance.now() - start) * 1000) / messages);
  };
}

/** µs for one start of the program, without its wait for the manager. */
function spawned() {
  const start = performance.now();
  const { status, error } = spawnSync('systemd-notify', ['--no-block', '--status=message'], { stdio: 'ignore' });
  if (status !== 0) throw error ?? new Error(`systemd-notify failed with ${status}`);
  return Promise.resolve((performance.now() - start) * 1000);
}

export default async function ({ rounds = 15 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'lfd-'));
  const socket = join(folder, 'notify');
  const reader = spawn('python3', ['-c', receiver, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(reader.stdout, 'data');
    const others = await buildPeers(folder);
    process.env.NOTIFY_SOCKET = socket;
    const sides = { ours: perMessage((status) => notify({ status })), 'systemd-notify': spawned };
    for (const [name, send] of Object.entries(others)) sides[name] = perMessage(send);
    const results = await interleave(sides, rounds);
    const ours = median(results.ours);
    const compare = (against, limit) =>
      row({ bench: 'notify', metric: 'notify({ status }), µs', ours, other: median(results[against]), against }, limit);
    return [
      ...Object.keys(others).map((name) => compare(name, { ratioAtMost: 1 })),
      compare('systemd-notify', { ratioAtMost: 0.01 }),
    ];
  } finally {
    delete process.env.NOTIFY_SOCKET;
    reader.kill();
    rmSync(folder, { recursive: true });
  }
}
