// Clients that never stop asking, and what became of each request.
import { Agent, request, type RequestOptions } from 'node:http';
import { text } from 'node:stream/consumers';

export interface Failure {
  readonly what: string;
  readonly port: number;
  /** When its connection was asked for, and when it failed: performance.now(). */
  readonly began: number;
  readonly failed: number;
  readonly error: string;
  /** On a connection that had been used before: the server may have closed it as the request was on its way. */
  readonly reused: boolean;
}

/** A request that has no answer by then is lost. Milliseconds. */
const patience = 40_000;

interface Asked {
  readonly path: string;
  readonly body?: string;
  readonly agent?: Agent;
  /** Called when the head of the answer is here. */
  readonly begun?: () => void;
}

export class Clients {
  readonly failures: Failure[] = [];
  answered = 0;
  readonly #ports: readonly number[];
  readonly #open = new Set<Promise<unknown>>();
  #running = false;
  #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  /** @param ports the first is the manager's own, the others are bound by the service */
  constructor(ports: readonly number[]) {
    this.#ports = ports;
  }

  /** One request; who answered it, or null where it failed. */
  async ask(port: number, { path, body, agent, begun }: Asked): Promise<number | null> {
    let began = performance.now();
    let reused = false;
    const options: RequestOptions = {
      host: '127.0.0.1',
      port,
      path,
      agent: agent ?? false,
      signal: AbortSignal.timeout(patience),
      ...(body === undefined ? {} : { method: 'POST', headers: { 'content-length': body.length } }),
    };
    try {
      const answer = await new Promise<string>((resolve, reject) => {
        const sent = request(options, (response) => {
          begun?.();
          text(response).then((whole) => resolve(`${response.statusCode} ${whole}`), reject);
        });
        sent.once('socket', (socket: { born?: number }) => {
          reused = sent.reusedSocket;
          began = Math.min(began, (socket.born ??= began));
        });
        sent.once('error', reject);
        // In two parts, so that something can happen between them.
        if (body === undefined) sent.end();
        else {
          sent.write(body.slice(0, body.length / 2));
          setTimeout(() => sent.end(body.slice(body.length / 2)), 20);
        }
      });
      const match = /^200 pid (\d+) (\d+)\n$/.exec(answer);
      if (!match || Number(match[2]) !== (body?.length ?? 0)) throw new Error(`answer ${JSON.stringify(answer)}`);
      this.answered += 1;
      return Number(match[1]);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.failures.push({ what: path, port, began, failed: performance.now(), error: code ?? message, reused });
      return null;
    }
  }

  /** Asks and does not wait. */
  send(port: number, asked: Asked): void {
    const open: Promise<unknown> = this.ask(port, asked).finally(() => this.#open.delete(open));
    this.#open.add(open);
  }

  start(): void {
    this.#running = true;
    const [web, own] = this.#ports as [number, number];
    const client = async (port: number, asked: Asked, pause: number): Promise<void> => {
      while (this.#running) {
        // Nobody may listen there now, and then it fails at once.
        const answered = await this.ask(port, asked);
        await new Promise((resolve) => setTimeout(resolve, answered === null ? 50 : pause));
      }
    };
    const all = [
      client(web, { path: '/' }, 5),
      client(web, { path: '/', agent: this.#agent }, 30),
      client(web, { path: '/', body: 'x'.repeat(100_000) }, 40),
      client(web, { path: '/slow?ms=150' }, 0),
      client(own, { path: '/slow?ms=20' }, 10),
    ];
    for (const one of all) {
      const open: Promise<unknown> = one.finally(() => this.#open.delete(open));
      this.#open.add(open);
    }
  }

  /** Asks no more. */
  abandon(): void {
    this.#running = false;
  }

  /** Asks no more, and waits for the answers. */
  async stop(): Promise<void> {
    this.abandon();
    while (this.#open.size > 0) await Promise.all(this.#open);
    this.#agent.destroy();
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1 });
  }
}
