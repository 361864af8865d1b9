// storeConnections(): what can go to the manager does, what cannot is left as it is.
import { once } from 'node:events';
import { connect } from 'node:tls';
import t from 'tap';
import { activateModule } from '../support/activate.ts';
import { makeCertificate } from '../support/certificate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { receive } from '../support/receiver.ts';

t.test('a TLS connection is not stored, by none of its sockets, and stays whole', async (t) => {
  const { key, cert } = makeCertificate(temporaryFolder(t));
  const manager = await receive(t);
  const service = activateModule(
    t,
    `import { readFileSync } from 'node:fs';
    import { createServer } from 'node:tls';
    import { serve, storeConnections } from 'listenfds';
    const server = createServer({ key: readFileSync(${JSON.stringify(key)}), cert: readFileSync(${JSON.stringify(cert)}) });
    const sockets = [];
    server.on('connection', (socket) => sockets.push(socket));
    server.on('secureConnection', (socket) => {
      sockets.push(socket);
      socket.on('error', () => {}).on('data', async () => {
        const stored = await Promise.all(sockets.map((one) => storeConnections('client', [one])));
        socket.write(JSON.stringify(stored));
      });
    });
    const { listening } = await serve(server, { port: 0, host: '127.0.0.1', drain: { timeout: 100 } });
    console.log(listening[0].address.port);`,
    { env: { NOTIFY_SOCKET: manager.address } },
  );
  const port = Number(await service.line());
  const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  t.teardown(() => client.destroy());
  await once(client, 'secureConnect');
  for (const round of [1, 2]) {
    client.write('store');
    t.equal(String((await once(client, 'data'))[0]), '[0,0]', `round ${round}`);
  }
});
