// A connection on which nothing has been asked yet is left for a moment where it was accepted, and moves then.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import t from 'tap';
import { binding, drain, openPair } from '../../dist/insides.js';

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
