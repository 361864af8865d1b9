// A service manager's end of NOTIFY_SOCKET, in a process of its own (receiver.py): what arrived, from whom, with what.
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { notify } from 'listenfds';
import { python } from './tools.ts';

const script = fileURLToPath(new URL('./receiver.py', import.meta.url));

export interface ReceivedMessage {
  readonly text: string;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** As fstat(2) told the receiver. */
  readonly fds: readonly { readonly inode: string; readonly device: string; readonly type: number }[];
}

/** A receiver that runs; it dies with the test. */
export class Receiver {
  readonly address: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #messages: ReceivedMessage[] = [];

  constructor(address: string, child: ChildProcess) {
    this.address = address;
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  async #next(): Promise<ReceivedMessage & { done?: string }> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the receiver ended');
    return JSON.parse(value) as ReceivedMessage;
  }

  /** The next message. */
  async message(): Promise<ReceivedMessage> {
    return this.#messages.shift() ?? (await this.#next());
  }

  /** The next message that matches; those before it are lost. */
  async until(pattern: RegExp): Promise<ReceivedMessage> {
    for (;;) {
      const message = await this.message();
      if (pattern.test(message.text)) return message;
    }
  }

  /** Has it do something (see receiver.py) and waits until it is done. */
  async command(name: 'pause' | 'resume' | 'hold' | 'release' | 'listen'): Promise<void> {
    if (name !== 'listen') this.#child.stdin!.write(`${name}\n`);
    for (;;) {
      const next = await this.#next();
      if (next.done === name) return;
      this.#messages.push(next);
    }
  }

  /** Stops reading, with a queue that has no room left. `resume` makes room. */
  async fill(): Promise<void> {
    await this.command('pause');
    for (;;) {
      try {
        notify({ X_OTHER: 1 }, { env: { NOTIFY_SOCKET: this.address } });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return;
        throw error;
      }
    }
  }

  /** Ends it: nobody listens at the address any more. A path stays. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

/**
 * Starts a receiver at a path, an @abstract name or vsock-stream:CID:PORT.
 *
 * @param address default: an abstract name that nobody else has
 */
export async function receive(
  t: { teardown(action: () => unknown): unknown },
  address: string = `@listenfds-test-${randomUUID()}`,
): Promise<Receiver> {
  const child = spawn(python, [script, address], { stdio: ['pipe', 'pipe', 'inherit'] });
  const receiver = new Receiver(address, child);
  t.teardown(() => receiver.close());
  await receiver.command('listen');
  return receiver;
}
