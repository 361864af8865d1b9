// What the tests are run with: `plain`, and five ways of having this package in between.
import { createServer } from 'node:net';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { checkout } from '../copy.js';
import { join } from 'node:path';

const register = join(checkout, 'dist/register.cjs');
const shim = (name) => fileURLToPath(new URL(`shims/${name}.cjs`, import.meta.url));

/** Sockets that a test is passed: kept by us, as a manager keeps them, and nobody accepts from them here. */
async function listeners(count, host) {
  const { binding } = await import('../../dist/insides.js');
  const servers = Array.from({ length: count }, () => createServer().listen(0, host));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  return servers.map((server) => {
    const held = { fd: binding().duplicate(server._handle.fd), port: server.address().port };
    server.close();
    return held;
  });
}

/**
 * @typedef {object} Side
 * @property {string} what
 * @property {string[]} args before the test's own flags
 * @property {() => Promise<{ fd: number, port: number }[]>} [passed]
 * @property {RegExp} [concerns] what a test has to name for it to be changed at all
 */

/** @type {Record<string, Side>} */
export const sides = {
  plain: { what: 'Node.js alone', args: [] },
  nothing: { what: 'the preload, nothing passed', args: ['--require', register] },
  passed: {
    what: 'the preload, and a listener passed that the test does not know of',
    args: ['--require', register],
    passed: () => listeners(1, '127.0.0.1'),
  },
  inherited: {
    what: 'the preload, every listen(0) on a socket that was passed',
    args: ['--require', register, '--require', shim('listen-inherited')],
    passed: () => listeners(6, '::'),
    concerns: /\blisten\b/,
  },
  drain: { what: 'drain() in the place of close()', args: ['--require', shim('drain')], concerns: /\bclose\b/ },
  listen: {
    what: 'listen() of the package in the place of server.listen()',
    args: ['--require', shim('listen')],
    concerns: /\blisten\b/,
  },
};
