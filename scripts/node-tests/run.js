// One of Node's tests in a process group of its own, with what a side (sides.js) puts in between.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cleanEnvironment } from '../node-versions.js';

/** The options that a test asks for in its first lines. */
function flagsOf(file) {
  return [...readFileSync(file, 'utf8').matchAll(/^\/\/ Flags: (.*)$/gm)].flatMap(([, flags]) =>
    flags.trim().split(/\s+/),
  );
}

/**
 * @param {{ node: string, folder: string, name: string, limit: number }} test limit in ms
 * @param {import('./sides.js').Side} side
 * @param {number} slot tests that run at the same time have different ones
 * @returns {Promise<{ passed: boolean, why: string, output: string, ms: number }>}
 */
export async function runOnce({ node, folder, name, limit }, side, slot) {
  const began = performance.now();
  const file = join(folder, 'test/parallel', name);
  const passed = (await side.passed?.()) ?? [];
  const ports = passed.map(({ port }) => port);
  const env = {
    ...cleanEnvironment(),
    TEST_THREAD_ID: String(slot),
    TEST_PARALLEL: '1',
    NODE_TEST_KNOWN_GLOBALS: '0', // a newer Node.js has more than its tests know of
    NODE_TEST_DIR: mkdtempSync(join(tmpdir(), 'listenfds-node-test-')),
    ...(passed.length > 0
      ? { LISTEN_FDS: String(passed.length), LISTEN_FDNAMES: ports.join(':'), NODE_TESTS_PORTS: ports.join() }
      : {}),
  };
  // The pid that a shell has is the one that exec keeps.
  const start = `${passed.length > 0 ? 'export LISTEN_PID=$$ NODE_TESTS_PID=$$; ' : ''}exec "$@"`;
  const command = [node, ...side.args, ...flagsOf(file), file];
  const child = spawn('sh', ['-c', start, 'sh', ...command], {
    cwd: dirname(file),
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', ...passed.map(({ fd }) => fd)],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => (output = (output + text).slice(-20_000)));
  }
  const end = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // the group has ended
    }
  };
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    end();
  }, limit);
  const [code, signal] = await once(child, 'exit');
  clearTimeout(timer);
  end();
  for (const { fd } of passed) closeSync(fd);
  rmSync(env.NODE_TEST_DIR, { recursive: true, force: true });
  const ms = performance.now() - began;
  if (code === 0) return { passed: true, why: '', output, ms };
  const line = /^(?:.*Error.*|.*mismatched .*calls.*|AssertionError.*)$/m.exec(output)?.[0] ?? '';
  const why = timedOut ? 'timeout' : `${code ?? signal}: ${line.trim().slice(0, 200)}`;
  return { passed: false, why, output, ms };
}
