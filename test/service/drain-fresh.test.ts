// A connection on which nothing has been asked yet is left for a moment where it was accepted, and moves then.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { execa } from 'execa';
import type { DrainResult } from 'listenfds';
import t from 'tap';
import { binding, drain, gatekeeper, openPair } from '../../dist/insides.js';

t.test('it moves at whatever fraction of a millisecond the moment is over', async (t) => {
  const drained = Array.from({ length: 200 }, async (_, i) => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { carrier, far } = openPair()!;
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
    await once(server, 'connection');
    await new Promise((resolve) => setTimeout(resolve, i % 50));
    const result = await drain(server, {}, { carrier: carrier.share() });
    carrier.close();
    binding().closeFd(far);
    client.destroy();
    return result;
  });
  for (const { moved, closedIdle } of await Promise.all(drained))
    t.match({ moved, closedIdle }, { moved: 1, closedIdle: 0 });
});

t.test('a request that came with its connection while the event loop was busy is answered', async (t) => {
  const { carrier, far } = openPair()!;
  const server = createServer((_, response) => response.end('answered'));
  gatekeeper(server).shared = true; // nothing is awaited before the connections are looked at
  const drained = new Promise<DrainResult>((resolve) => {
    server.once('connection', () => {
      const busyUntil = performance.now() + 500;
      while (performance.now() < busyUntil);
      resolve(drain(server, {}, { carrier: carrier.share() }));
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const client = await execa(process.execPath, [
    '--eval',
    `require('http').get({ host: '127.0.0.1', port: ${port}, agent: false }, (response) => response.pipe(process.stdout))`,
  ]);
  t.equal(client.stdout, 'answered');
  t.match(await drained, { moved: 0, completed: 1 });
  carrier.close();
  binding().closeFd(far);
});
