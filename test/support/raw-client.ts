// A client that writes bytes and reads bytes: what HTTP clients hide is what matters at the end of a connection.
import { once } from 'node:events';
import { connect, type NetConnectOpts, type Socket } from 'node:net';

export class RawClient {
  readonly socket: Socket;
  text = '';
  readonly ended: Promise<unknown>;

  /** @param target a port of 127.0.0.1, or Node's options */
  constructor(target: number | NetConnectOpts) {
    this.socket = connect(typeof target === 'number' ? { port: target, host: '127.0.0.1' } : target);
    this.socket.setEncoding('latin1').on('data', (chunk: string) => (this.text += chunk));
    this.socket.on('error', () => {});
    this.ended = once(this.socket, 'close');
  }

  /** Pipelined GETs, one for each path. */
  send(...paths: string[]): void {
    this.socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`).join(''));
  }

  /** Waits until that has come; fails when the connection ends before. */
  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) {
      const over = await Promise.race([once(this.socket, 'data').then(() => false), this.ended.then(() => true)]);
      if (over && !pattern.test(this.text)) throw new Error(`the connection ended without ${pattern}: ${this.text}`);
    }
  }

  /** One request and its answer, of which `pattern` is the end. */
  async ask(path: string, pattern: RegExp): Promise<string> {
    this.text = '';
    this.send(path);
    await this.until(pattern);
    return this.text;
  }
}
