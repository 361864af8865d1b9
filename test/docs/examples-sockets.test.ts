// The examples of docs/sockets.md.
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { listenDatagram, type UnixDatagram } from 'listenfds/sockets';
import { activate, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { freePort } from '../support/port.ts';
import { without } from '../support/tools.ts';

t.test('examples/datagrams.js notes who sent what, passed or by hand', async (t) => {
  for (const passed of [true, false]) {
    const path = join(temporaryFolder(t), 'log');
    const program = activate(t, [process.execPath, 'examples/datagrams.js', path], {
      fds: passed ? [`unix_dgram("${path}")`] : [],
    });
    t.equal(await program.line(), `listening on ${path}`);
    const client = (await listenDatagram({ address: `@${path}`, activation: 'never' })).socket as UnixDatagram;
    await client.send('something happened', path);
    t.equal(await program.line(), `user ${process.getuid!()}: something happened`);
    t.equal(String((await once(client, 'message'))[0]), 'noted');
    client.close();
  }
});

const skip = without('systemd-socket-activate');
t.test('examples/per-connection.js is started for each connection', { skip }, async (t) => {
  const port = await freePort();
  const command = ['systemd-socket-activate', '-a', '-l', `127.0.0.1:${port}`, '-E', `PORT=${port}`];
  const manager = activate(t, [...command, process.execPath, join(root, 'examples/per-connection.js')]);
  while (!manager.stderr.includes('Listening on')) await once(manager.child.stderr!, 'data');
  for (const name of ['Ada', 'Grace']) {
    const client = connect(port, '127.0.0.1');
    client.write(name);
    t.equal(await text(client), `what is your name?\nhello ${name}\n`);
    const said = `for 127.0.0.1 port ${client.localPort ?? ''}`;
    while (!manager.stderr.includes(said)) await once(manager.child.stderr!, 'data');
  }
});
