// Clients that never stop asking while a service is restarted, and what they were told.
import { Agent } from 'node:http';
import { exchange } from './http.js';

export interface Load {
  /** Answered as expected so far. */
  readonly answered: number;
  readonly failures: readonly string[];
  /** Resolves when that many more have been answered, or when one has failed. */
  more(count: number): Promise<void>;
  stop(): Promise<void>;
}

export interface LoadTarget {
  readonly port?: number;
  readonly socketPath?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  /** What a body must match; any status from 200 to 299 will do. */
  readonly expected?: RegExp;
  /** @default 4 */
  readonly clients?: number;
}

/** Clients that each keep one connection alive and send the next request as soon as the last is answered. */
export function load(target: LoadTarget): Load {
  const { port, socketPath, path = '/', headers = {}, expected = /./, clients = 4 } = target;
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const failures: string[] = [];
  const waiting: { at: number; resolve: () => void }[] = [];
  let answered = 0;
  let stopped = false;

  const settle = (): void => {
    for (const one of waiting) if (answered >= one.at || failures.length > 0) one.resolve();
  };
  const where = socketPath === undefined ? { port } : { socketPath };
  const ask = async (): Promise<void> => {
    try {
      const { status, body } = await exchange({ ...where, path, headers, agent });
      if (status < 200 || status > 299 || !expected.test(body)) failures.push(`${status} ${body}`);
      else answered += 1;
    } catch (error) {
      failures.push(String(error));
    }
  };
  const client = async (): Promise<void> => {
    while (!stopped && failures.length === 0) {
      await ask();
      settle();
    }
  };
  const running = Array.from({ length: clients }, client);

  return {
    get answered() {
      return answered;
    },
    failures,
    more: (count) =>
      new Promise((resolve) => {
        waiting.push({ at: answered + count, resolve });
        settle();
      }),
    async stop() {
      stopped = true;
      await Promise.all(running);
      agent.destroy();
    },
  };
}
