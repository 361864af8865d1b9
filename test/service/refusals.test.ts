// Refusals are counted by what refused, published, and said in the log: the first at once, the rest together.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import t from 'tap';
import { serve, type RefusedMessage } from 'listenfds';

t.test('a thousand refusals are two lines in the log, and all are counted', async (t) => {
  const log: string[] = [];
  const server = createServer();
  const counts: number[] = [];
  const note = (message: unknown): void => {
    const { server: where, count } = message as RefusedMessage;
    if (where === server) counts.push(count);
  };
  subscribe('listenfds:refused', note);
  t.teardown(() => unsubscribe('listenfds:refused', note));
  const service = await serve(server, {
    host: '127.0.0.1',
    port: 0,
    deny: ['127.0.0.2'],
    allow: ['127.0.0.2', '127.0.0.3'],
    log: (line) => void log.push(line),
    signals: [],
    exit: false,
  });
  const { port } = server.address() as AddressInfo;
  const attempt = async (localAddress: string): Promise<void> => {
    const socket = connect({ host: '127.0.0.1', port, localAddress });
    socket.on('error', () => {});
    await once(socket, 'close');
  };
  await attempt('127.0.0.2');
  t.strictSame(log, ['refused 1 connection, the last by deny: 127.0.0.2 (so far: deny 1)']);
  for (let i = 0; i < 999; i++) await attempt('127.0.0.1');
  t.equal(log.length, 1, 'there is no second line so soon');
  t.match(service.stats, { accepted: 0, refused: 1000, refusedBy: { deny: 1, allow: 999 } });
  t.strictSame(counts, [1, ...Array.from({ length: 999 }, (_, i) => i + 1)]);
  await service.close();
  t.equal(log.length, 2, log.join('\n'));
  t.equal(log[1], 'refused 999 connections, the last by allow: 127.0.0.1 is not in it (so far: deny 1, allow 999)');
});
