// Starts a program the way a manager does: with a listening socket on fd 3 and LISTEN_* that names its process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { get } from '../test/support/http.js';

/** Binds a free port of 127.0.0.1 and hands out its descriptor; close() gives up our copy. */
async function makeListener() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { fd: server._handle.fd, port: server.address().port, close: () => server.close() };
}

// LISTEN_PID has to be the program's own number, which a shell knows before it becomes the program.
const script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$1"';

async function spawnActivated(program, stdout, { node = process.execPath, env = {} } = {}) {
  const listener = await makeListener();
  const child = spawn('/bin/sh', ['-c', script, node, program], {
    env: { ...process.env, ...env, PORT: String(listener.port) },
    stdio: ['ignore', stdout, 'inherit', listener.fd],
  });
  listener.close();
  return { child, port: listener.port };
}

/**
 * The program, and the port that its socket is bound to, which it finds in PORT. Our copy of the socket is closed by
 * then: a connection waits in the queue until the program accepts it.
 *
 * @param {string} program
 * @param {{ node?: string, env?: Record<string, string> }} [options]
 */
export function startActivated(program, options) {
  return spawnActivated(program, 'ignore', options);
}

/** What a program prints that is given a listener and ends by itself. */
export async function runActivated(program) {
  const { child } = await spawnActivated(program, 'pipe');
  let stdout = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) stdout += chunk;
  return { stdout };
}

/**
 * ms from the start of a program until its first answer, and its CPU time until then, in ms, which is what it answers in µs.
 *
 * @param {string} program
 * @param {{ node?: string, env?: Record<string, string> }} [options]
 */
export async function firstAnswer(program, options) {
  const start = performance.now();
  const { child, port } = await startActivated(program, options);
  const cpu = Number(await get(port)) / 1000;
  const wall = performance.now() - start;
  // Node writes its cache when it ends by itself.
  await stop(child, options?.env?.NODE_COMPILE_CACHE ? 'SIGUSR2' : 'SIGKILL');
  return { wall, cpu };
}

export async function stop(child, signal = 'SIGKILL') {
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}
