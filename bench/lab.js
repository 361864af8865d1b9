// A real systemd for a benchmark: test/systemd/lab, which test/support/systemd.ts wraps for tests.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const checkout = resolve(import.meta.dirname, '..');

/**
 * @param {Record<string, string>} units  unit files by name
 * @template T
 * @param {(lab: { run: (...command: string[]) => Promise<{ code: number, stdout: string, stderr: string }>,
 *   systemctl: (...args: string[]) => Promise<string>, path: (inside: string) => string, log: () => string }) => Promise<T>} body
 * @returns {Promise<T>}
 */
export async function withSystemd(units, body, bind = []) {
  const folder = mkdtempSync(join(tmpdir(), 'lab-'));
  for (const [name, text] of Object.entries(units)) writeFileSync(join(folder, name), text);
  const keeper = spawn(join(checkout, 'test/systemd/lab'), [folder], {
    stdio: 'pipe',
    env: { PATH: process.env.PATH, LAB_BIND: [checkout, process.execPath, ...bind].join(':') },
  });
  const closed = once(keeper, 'close');
  let log = '';
  try {
    const up = new Promise((done, fail) => {
      const listen = (text) => {
        log += text;
        if (/^lab: up$/m.test(log)) done();
      };
      keeper.stdout.setEncoding('utf8').on('data', listen);
      keeper.stderr.setEncoding('utf8').on('data', listen);
      void closed.then(() => fail(new Error(`systemd did not start:\n${log}`)));
    });
    await up;
    const pid = /^lab: pid (\d+)$/m.exec(log)[1];
    const run = async (...command) => {
      const child = spawn('nsenter', ['-t', pid, '-a', '--', ...command], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
      });
      let [stdout, stderr] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
      const [code] = await once(child, 'close');
      return { code, stdout, stderr };
    };
    return await body({
      run,
      log: () => log,
      path: (inside) => `/proc/${pid}/root${inside}`,
      async systemctl(...args) {
        const { code, stdout, stderr } = await run('systemctl', ...args);
        if (code !== 0) throw new Error(`systemctl ${args.join(' ')} failed with ${code}: ${stderr}`);
        return stdout;
      },
    });
  } finally {
    keeper.stdin.end();
    await closed;
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
