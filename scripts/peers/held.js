// A listener as a manager has it: the descriptor alone, which is passed on.
import { once } from 'node:events';
import { createServer } from 'node:net';

const { binding } = await import('../../dist/insides.js');

/** @param {...any} where the arguments of listen() */
export async function held(...where) {
  const server = createServer().listen(...where);
  await once(server, 'listening');
  const fd = binding().duplicate(server._handle.fd);
  return { fd, address: server.address(), release: () => server.close() };
}
