// Asking an HTTP server one question: what tests and benchmarks share. Plain JavaScript, since a benchmark runs without tap.
import { execFile } from 'node:child_process';
import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';

/** @typedef {number | string | import('node:https').RequestOptions} Target  a port of 127.0.0.1, a unix socket, or Node's options */

/**
 * GET /, on a connection of its own unless the options have an agent.
 *
 * @param {Target} target
 * @returns {Promise<{ status: number, body: string }>} rejects when the answer does not arrive whole
 */
export function exchange(target) {
  const where =
    typeof target === 'number' ? { port: target } : typeof target === 'string' ? { socketPath: target } : target;
  const request = where.protocol === 'https:' ? overHttps : overHttp;
  return new Promise((resolve, reject) => {
    const sent = request({ agent: false, host: '127.0.0.1', ...where }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
    sent.on('error', reject).end();
  });
}

/**
 * The body of the answer, whatever its status.
 *
 * @param {Target} target
 */
export async function get(target) {
  return (await exchange(target)).body;
}

/**
 * The same, read as JSON.
 *
 * @template [T=any]
 * @param {Target} target
 * @returns {Promise<T>}
 */
export async function getJson(target) {
  return JSON.parse(await get(target));
}

/**
 * The same over an abstract unix socket; by curl, because Node 20 pads an abstract name with NULs, which is another name.
 *
 * @param {string} name
 */
export async function getAbstract(name) {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '--abstract-unix-socket', name, 'http://localhost/']);
  return stdout;
}
