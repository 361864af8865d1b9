// Programs that call listen(), for tests that say what it is given and look at what comes of it.
import { activateModule, insides, resultOf, type Activated, type Activation, type Test } from './activate.ts';

/** Imports, an app, and ways to print a JSON line: done() also ends the program. */
export const prelude = `
  import fs from 'node:fs';
  import net from 'node:net';
  import { describe, listen, listenFds, ListenFdsError } from 'listenfds';
  import * as insides from ${JSON.stringify(insides)};
  const app = (request, response) => response.end('served by ' + process.pid);
  const links = (...fds) => fds.map((fd) => fs.readlinkSync('/proc/self/fd/' + fd));
  const shown = (promise) => promise.then(
    ({ server, ...rest }) => ({ ...rest, own: server.address() }),
    ({ code, message, fd, syscall }) => ({ code, message, fd, syscall }),
  );
  const report = (value) => console.log(JSON.stringify(value));
  const done = (value) => process.stdout.write(JSON.stringify(value) + '\\n', () => process.exit());
`;

/** What listen() comes to for some arguments, in a program that ends at once. */
export const outcome = (t: Test, target: string, activation?: Activation): Promise<any> =>
  resultOf(t, `${prelude} done(await shown(listen(app, ${target})));`, activation);

/** A program that goes on listening. */
export const serving = (t: Test, target: string, activation?: Activation): Activated =>
  activateModule(t, `${prelude} report(await shown(listen(app, ${target})));`, activation);

/** What a socket unit with two sockets passes. */
export const two = { fds: ['tcp("127.0.0.1", 0, 17)', 'tcp("127.0.0.1", 0, 18)'], names: ['web', 'admin'] };
