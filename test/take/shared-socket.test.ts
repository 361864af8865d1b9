// What a program leaves behind on a socket that others hold as well: options and flags belong to the socket, or to the open
// file description, and not to the process that set them.
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { describe, peerCredentials } from 'listenfds';
import { listenDatagram, type UnixDatagram } from 'listenfds/sockets';
import { activateModule, resultOf } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';
import * as insides from '../../dist/insides.js';
import { without } from '../support/tools.ts';

t.test('an adopted listener goes on listening with its backlog when the program has gone', async (t) => {
  const { fd, port } = await held(t);
  const before = describe(fd);
  const program = activateModule(
    t,
    `import { listen } from 'listenfds';
    const { server } = await listen((_, response) => response.end(), { activation: 'required', mismatch: 'ignore' });
    server.close(() => console.log('closed'));`,
    { fds: [fd] },
  );
  t.equal(await program.line(), 'closed');
  t.equal((await program.ended).code, 0);
  const { cloexec: _, ...after } = describe(fd);
  t.match(after, { listening: true, backlog: before.backlog, address: before.address });
  const client = connect(port, '127.0.0.1');
  await once(client, 'connect');
  client.destroy();
});

t.test('O_NONBLOCK stays on what was adopted: it belongs to every holder', { skip: without('python3') }, async (t) => {
  const [before, after] = await resultOf(
    t,
    `import { readFileSync, constants } from 'node:fs';
        import { listen } from 'listenfds';
    const nonBlocking = () =>
      (parseInt(/^flags:\\s*(\\d+)$/m.exec(readFileSync('/proc/self/fdinfo/3', 'utf8'))[1], 8) & constants.O_NONBLOCK) !== 0;
    const before = nonBlocking();
    await listen((_, response) => response.end(), { activation: 'required' });
    console.log(JSON.stringify([before, nonBlocking()]));
    process.exit();`,
    { fds: ['tcp()'] },
  );
  t.same([before, after], [false, true]);
});

t.test('an option that was asked for stays on an adopted datagram socket', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const manager = (await listenDatagram({ path, activation: 'never' })).socket as UnixDatagram;
  const { watcher } = manager as unknown as { watcher: { fd: number } };
  const copy = insides.binding().duplicate(watcher.fd);
  t.teardown(() => closeSync(copy));
  const sender = (await listenDatagram({ address: `@${path}`, activation: 'never' })).socket as UnixDatagram;
  t.teardown(() => [manager, sender].map((socket) => socket.close()));
  const credentialsCome = async (): Promise<boolean> => {
    const message = once(manager, 'message');
    await sender.send('hello', path);
    return (await message)[1].credentials !== undefined;
  };
  t.equal(await credentialsCome(), false);
  const program = activateModule(
    t,
    `import { listenDatagram } from 'listenfds/sockets';
    (await listenDatagram({ activation: 'required', address: '${path}', passCredentials: true })).socket.close();`,
    { fds: [copy] },
  );
  t.equal((await program.ended).code, 0);
  t.equal(await credentialsCome(), true);
});

t.test('clients of an adopted unix listener see the program that adopted it, not the manager', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const program = activateModule(
    t,
    `import { listen } from 'listenfds';
    const { server } = await listen((_, response) => response.end(), { path: '${path}', activation: 'required' });
    console.log('up');`,
    { fds: [`unix("${path}")`] },
  );
  t.equal(await program.line(), 'up');
  const client = connect({ path });
  await once(client, 'connect');
  t.equal(peerCredentials(client).pid, program.pid);
  client.destroy();
});
