// npm run demo: `listenfds run` on examples/on-demand.js, and what its clients see of it, in five lines.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'listenfds-demo-'));
const source = join(folder, 'source.js');
writeFileSync(source, '');

const options = ['-l', '127.0.0.1:0', '--idle-timeout', '1s', '--watch', source];
const run = spawn(
  process.execPath,
  [path('../dist/cli.js'), 'run', ...options, '--', process.execPath, path('on-demand.js')],
  { stdio: ['ignore', 'inherit', 'pipe'] },
);
process.once('exit', () => {
  run.kill();
  rmSync(folder, { recursive: true });
});

let said = '';
run.stderr.setEncoding('utf8').on('data', (more) => (said += more));
/** Waits until `listenfds run` says what matches, from now on. */
async function says(pattern) {
  for (;;) {
    const found = pattern.exec(said);
    if (found) {
      said = said.slice(found.index + found[0].length);
      return found;
    }
    if (run.exitCode !== null) throw new Error(`listenfds run has ended: ${said}`);
    await once(run.stderr, 'data');
  }
}

/** One request over a connection of its own: who answered, and after how many ms. */
async function ask(url) {
  const start = performance.now();
  const [response] = await once(get(url, { agent: false }), 'response');
  const [, pid] = /process (\d+)/.exec(await text(response));
  return { pid: Number(pid), time: Math.round(performance.now() - start) };
}

const [, address] = await says(/listening on (\S+),/);
const url = `http://${address}/`;
console.log(`1. The socket is open at ${url}, and no process runs.`);

const first = await ask(url);
console.log(`2. The first request starts the service, process ${first.pid}, and is answered after ${first.time} ms.`);

let [requests, lost, restarting] = [0, 0, true];
const clients = [1, 2, 3, 4].map(async () => {
  while (restarting) {
    requests += 1;
    await ask(url).catch(() => (lost += 1));
  }
});
await says(/is ready/);
for (let i = 1; i <= 3; i++) {
  writeFileSync(source, `// ${i}`);
  await says(/has changed/);
  await says(/is ready/);
}
restarting = false;
await Promise.all(clients);
console.log(`3. Its source has changed three times, it was restarted under ${requests} requests: ${lost} were lost.`);

await says(/exited with status 0 .*the sockets stay open/);
console.log('4. Nobody came for a second, so it has left. The socket is still open.');

const again = await ask(url);
console.log(`5. The next request has started it again, process ${again.pid}, and was answered after ${again.time} ms.`);

run.kill();
await once(run, 'exit');
process.exitCode = lost === 0 ? 0 : 1;
