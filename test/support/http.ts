// Asking an HTTP server one question.
import { execFile } from 'node:child_process';
import { request, type RequestOptions } from 'node:http';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';

/** The body of GET / over a connection of its own; `target` is a port of 127.0.0.1, a unix socket, or Node's options. */
export function get(target: number | string | RequestOptions): Promise<string> {
  const where =
    typeof target === 'number'
      ? { host: '127.0.0.1', port: target }
      : typeof target === 'string'
        ? { socketPath: target }
        : target;
  return new Promise((resolve, reject) => {
    request({ agent: false, ...where }, (response) => resolve(text(response)))
      .on('error', reject)
      .end();
  });
}

/** The same, read as JSON. */
export async function getJson<T = any>(target: number | string | RequestOptions): Promise<T> {
  return JSON.parse(await get(target)) as T;
}

/** The same over an abstract unix socket; by curl, because Node 20 pads an abstract name with NULs, which is another name. */
export async function getAbstract(name: string): Promise<string> {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '--abstract-unix-socket', name, 'http://localhost/']);
  return stdout;
}
