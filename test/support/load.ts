// Clients that never stop asking while a service is restarted, and what they were told.
import { Agent, request } from 'node:http';

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
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      const fail = (reason: string): void => {
        failures.push(reason);
        resolve();
      };
      const where = socketPath === undefined ? { host: '127.0.0.1', port } : { socketPath };
      const asked = request({ ...where, path, headers, agent }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('error', (error) => fail(`broken off: ${error.message}`));
        response.on('end', () => {
          const { statusCode = 0 } = response;
          if (statusCode < 200 || statusCode > 299 || !expected.test(body)) fail(`${statusCode} ${body}`);
          else answered += 1;
          resolve();
        });
      });
      asked.on('error', (error) => fail(`${asked.reusedSocket ? 'reused' : 'new'} connection: ${error.message}`));
      asked.end();
    });
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
