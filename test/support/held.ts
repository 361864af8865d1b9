// Listening TCP sockets that nobody accepts from until a program is given them: what a service manager holds.
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import * as insides from '../../dist/insides.js';

/** A descriptor of the test process, to be passed to one program after another. */
export interface Held {
  readonly fd: number;
  readonly port: number;
}

export async function held(t: { teardown(action: () => unknown): unknown }, host = '127.0.0.1'): Promise<Held> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { _handle } = server as unknown as { _handle: { fd: number } };
  const fd = insides.binding().duplicate(_handle.fd);
  server.close();
  t.teardown(() => closeSync(fd));
  return { fd, port };
}
