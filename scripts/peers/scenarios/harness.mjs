// What the scenarios share: a row of TAP for each, and a service with its successors in a folder of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const program = join(import.meta.dirname, 'service.mjs');
let number = 0;

/** The processes of a family: they have its configuration in their environment. */
function family(file) {
  const isOf = (pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`CONFIGURATION=${file}`);
    } catch {
      return false; // it has ended
    }
  };
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isOf(name));
}

class Service {
  folder = mkdtempSync(join(tmpdir(), 'listenfds-scenario-'));
  #file = join(this.folder, 'configuration');
  #lines = [];

  configure(configuration) {
    writeFileSync(this.#file, JSON.stringify(configuration));
  }

  /** @param {{ env?: object, args?: string[], fds?: number[] }} [how] */
  start({ env = {}, args = [], fds = [] } = {}) {
    const passed = fds.length > 0 ? { LISTEN_FDS: String(fds.length) } : {};
    const words = [
      '-c',
      `${fds.length > 0 ? 'LISTEN_PID=$$ ' : ''}exec "$@"`,
      'sh',
      process.execPath,
      ...args,
      program,
    ];
    const environment = { ...process.env, ...passed, ...env, CONFIGURATION: this.#file };
    this.child = spawn('sh', words, { env: environment, stdio: ['ignore', 'pipe', 'pipe', ...fds] });
    this.exited = once(this.child, 'exit');
    let rest = '';
    this.child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      this.#lines.push(...lines.map((line) => JSON.parse(line)));
    });
    this.errors = '';
    this.child.stderr.setEncoding('utf8').on('data', (text) => (this.errors += text));
  }

  /** The first line of the family that has what is asked for. */
  async said(what, pid) {
    const until = performance.now() + 10_000;
    while (performance.now() < until) {
      const found = this.#lines.find((line) => line[what] && (pid === undefined || line.pid === pid));
      if (found) return found;
      if (this.child.exitCode !== null && family(this.#file).length === 0) break;
      await wait(10);
    }
    throw new Error(`nobody said ${what}: ${this.errors}`);
  }

  async up(how) {
    this.start(how);
    const { addresses } = await this.said('up');
    [this.address] = addresses;
    return this;
  }

  ask(path, address = this.address) {
    const to = typeof address === 'string' ? { socketPath: address } : { host: '127.0.0.1', port: address.port };
    return new Promise((resolve, reject) => {
      const client = request({ ...to, path, agent: false, timeout: 10_000 }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (more) => (text += more));
        response.once('end', () => resolve(text)).once('error', reject);
      });
      client.once('error', reject).end();
    });
  }

  /** What became of an upgrade: { pid } or { code }. */
  async upgrade() {
    const { pid, ...failure } = JSON.parse(await this.ask('/upgrade'));
    if (pid) await this.said('up', pid);
    return { pid, ...failure };
  }

  async end() {
    for (const pid of family(this.#file)) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // it has ended
      }
    }
    if (this.child) await this.exited;
    rmSync(this.folder, { recursive: true });
  }

  alive = () => family(this.#file);
}

/**
 * One row. It passes if `body` returns, and fails if that throws.
 *
 * @param {string} title of the peer's test
 * @param {(service: Service) => Promise<void>} body
 */
export async function scenario(title, body) {
  const service = new Service();
  try {
    await body(service);
    console.log(`ok ${++number} - ${title}`);
  } catch (error) {
    console.log(`not ok ${++number} - ${title}`);
    console.error(`${title}: ${error.stack}\n${service.errors ?? ''}`);
  } finally {
    await service.end();
  }
}

export const refused = (promise) =>
  promise.then(
    () => 'answered',
    ({ code }) => code,
  );
