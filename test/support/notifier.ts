// The service of test/fixtures/notifier.js under a real systemd.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { execStart, type Lab } from './systemd.ts';

export const unit = 'notifier.service';
/** Where the program listens. */
const path = '/run/notifier.sock';

/** A service with the program and these lines. */
export function units(...lines: string[]): { units: Record<string, string> } {
  return { units: { [unit]: ['[Service]', `ExecStart=${execStart('notifier.js', path)}`, ...lines, ''].join('\n') } };
}

/** The program that runs, and does what it is told. */
export class Notifier {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  /** Waits until it listens; `after` skips what was in the log before. */
  static async find(lab: Lab, after = 0): Promise<Notifier> {
    await lab.logged(/^notifier \d+ listens$/m, after);
    const socket = connect(lab.path(path));
    socket.on('error', () => {}); // it was killed
    await once(socket, 'connect');
    return new Notifier(socket);
  }

  /** Does not wait for the answer: there will be none. */
  say(name: string, ...args: unknown[]): void {
    this.#socket.write(`${JSON.stringify([name, ...args])}\n`);
  }

  async do<T = unknown>(name: string, ...args: unknown[]): Promise<T> {
    this.say(name, ...args);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the program ended instead of ${name}`);
    const answer = JSON.parse(value) as { value: T; error?: { code: string; message: string } };
    if (answer.error) throw Object.assign(new Error(answer.error.message), answer.error);
    return answer.value;
  }

  /** Tells the manager something and waits until it has read it. */
  async tell(state: unknown, options: object = {}): Promise<void> {
    await this.do('notify', state, options);
    await this.do('barrier');
  }

  end(): void {
    this.#socket.destroy();
  }
}
