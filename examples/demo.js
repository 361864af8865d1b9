// npm run demo: examples/express.js started by its first request, on a socket that somebody else opened, and then by hand.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('./express.js', import.meta.url));

if (spawnSync('systemd-socket-activate', ['--version']).error) {
  console.error('The demo needs systemd-socket-activate, which comes with systemd, and it is not on this machine.');
  process.exit(1);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts a command that ends with the demo; `line()` is the next line that it prints. */
function start(file, args, env) {
  const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  process.once('exit', () => child.kill());
  const lines = (stream) => createInterface({ input: stream })[Symbol.asyncIterator]();
  const [out, err] = [lines(child.stdout), lines(child.stderr)];
  return {
    pid: child.pid,
    line: async (from = out) => (await from.next()).value ?? 'nothing, it ended',
    err,
    async stop() {
      child.kill();
      await once(child, 'exit');
    },
  };
}

async function ask(url) {
  const start = performance.now();
  const answer = await (await fetch(url)).text();
  return `"${answer.trim()}" after ${Math.round(performance.now() - start)} ms`;
}

const port = await freePort();
const url = `http://127.0.0.1:${port}/`;

console.log('1. Somebody else opens the socket: systemd-socket-activate, in the place of systemd.');
const listen = `--listen=127.0.0.1:${port}`;
const activated = start('systemd-socket-activate', ['-E', 'PORT', listen, process.execPath, program], {
  PORT: String(port),
});
console.log(`   ${await activated.line(activated.err)}`);
console.log(`   No Node.js runs yet. Now a request to ${url}`);
console.log(`   It starts examples/express.js, waits in the queue meanwhile, and gets ${await ask(url)}.`);
console.log(`   The program says: ${await activated.line()}`);
console.log(`   The next request gets ${await ask(url)}.`);
await activated.stop();

console.log('2. The same file started by hand, with nothing passed, binds the port itself.');
const bound = start(process.execPath, [program], { PORT: String(port) });
console.log(`   The program says: ${await bound.line()}`);
console.log(`   A request gets ${await ask(url)}.`);
await bound.stop();
