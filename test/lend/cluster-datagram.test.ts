// Datagram sockets in a cluster: the primary holds what was passed, workers receive through it, and no datagram is lost
// while they come and go.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, root, type Activated } from '../support/activate.ts';
import { freePort } from '../support/port.ts';

const register = join(root, 'dist/register.js');

interface How {
  readonly primary: 'library' | 'nothing';
  readonly worker: 'library' | 'unmodified';
  readonly policy: 'rr' | 'none';
}

function start(t: Test, how: How, port: number): Activated {
  const through = how.primary === 'nothing' ? ['--import', register] : [];
  const env = { CLUSTER: JSON.stringify({ ...how, target: port }) };
  const program = [process.execPath, ...through, 'test/fixtures/cluster-udp.mjs'];
  return activate(t, program, { fds: [`udp("127.0.0.1", ${port})`], env });
}

/** Sends numbered messages, each when the one before is answered: any that is lost is waited for in vain. */
class Client {
  readonly socket: Socket = createSocket('udp4');
  readonly pids = new Set<string>();
  #next = 0;
  #stopped = false;

  constructor(t: Test) {
    t.teardown(() => this.socket.close());
  }

  async ask(port: number): Promise<void> {
    const text = String(this.#next++);
    this.socket.send(text, port, '127.0.0.1');
    const [answer] = (await once(this.socket, 'message')) as [Buffer];
    const [pid = '', echoed] = String(answer).split(' ');
    if (echoed !== text) throw new Error(`${text} was answered with ${echoed}`);
    this.pids.add(pid);
  }

  /** @returns how many were answered */
  async askUntilStopped(port: number): Promise<number> {
    while (!this.#stopped) await this.ask(port);
    return this.#next;
  }

  /** Resolves when so many processes have answered. */
  async heard(processes: number): Promise<void> {
    while (this.pids.size < processes) await once(this.socket, 'message');
  }

  stop(): void {
    this.#stopped = true;
  }
}

t.jobs = 2;

for (const policy of ['rr', 'none'] as const) {
  for (const [primary, worker] of [
    ['library', 'library'],
    ['nothing', 'library'],
    ['nothing', 'unmodified'],
  ] as const) {
    t.test(`primary: ${primary}, worker: ${worker}, ${policy}`, async (t) => {
      const port = await freePort();
      const running = start(t, { primary, worker, policy }, port);
      for (let i = 0; i < 2; i++) t.match(await running.json(), { address: '127.0.0.1', port });
      t.equal(await running.json(), 'ready');

      const client = new Client(t);
      const asking = client.askUntilStopped(port);
      await client.heard(1);
      running.child.kill('SIGUSR2');
      while ((await running.json()) !== 'replaced');
      await client.heard(2);
      client.stop();
      t.ok((await asking) > 0, 'old and new workers have answered');

      running.child.kill('SIGHUP');
      while ((await running.json()) !== 'gone');
      const waiting = client.ask(port);
      while ((await running.json()) !== 'back');
      await waiting;
      t.pass('what came while no worker was there is answered by the next');
      await running.kill();
      t.equal(running.stderr, '');
    });
  }
}
