// What all the endpoints have in common with Node's own sockets: ref() and unref(), disposal, and timeouts.
import { once } from 'node:events';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  connectSequentialPacket,
  listenDatagram,
  listenMessageQueue,
  listenSequentialPacket,
  type SequentialPacketSocket,
} from 'listenfds/sockets';
import { activateModule } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';

const everything = (folder: string): string => `
  import { connectSequentialPacket, listenDatagram, listenSequentialPacket } from 'listenfds/sockets';
  import { join } from 'node:path';
  const folder = ${JSON.stringify(folder)};
  const { server } = await listenSequentialPacket({ path: join(folder, 'packets') });
  const all = [
    server,
    (await listenDatagram({ path: join(folder, 'datagrams') })).socket,
    (await listenDatagram({ host: '127.0.0.1', port: 0 })).socket,
    (await connectSequentialPacket(join(folder, 'packets'))).socket,
  ];`;

t.test('a process whose endpoints are all unreferenced ends', async (t) => {
  const program = activateModule(
    t,
    `${everything(temporaryFolder(t))}
    server.on('connection', (socket) => socket.unref());
    for (const one of all) if (one.unref() !== one) throw new Error('unref() returns something else');
    console.log('left');`,
  );
  t.equal(await program.line(), 'left');
  t.match(await program.ended, { code: 0, stderr: '' });
});

t.test('and one of which one is referenced again does not', async (t) => {
  for (const index of [0, 1, 2, 3]) {
    const program = activateModule(
      t,
      `${everything(temporaryFolder(t))}
      server.on('connection', (socket) => socket.unref());
      for (const one of all) one.unref();
      all.at(-1).on('data', () => {}); // as net.Socket, it waits for nothing unless it is read
      if (all[${index}].ref() !== all[${index}]) throw new Error('ref() returns something else');
      setTimeout(() => console.log('alive'), 50).unref();`,
    );
    t.equal(await program.line(), 'alive', String(index));
    await program.kill();
  }
});

t.test('disposed of, they are closed', async (t) => {
  const folder = temporaryFolder(t);
  const dispose = Symbol.for('nodejs.asyncDispose');
  for (const make of [
    async () => (await listenSequentialPacket({ path: join(folder, 'packets'), activation: 'never' })).server,
    async () => (await listenDatagram({ path: join(folder, 'datagrams'), activation: 'never' })).socket,
    async () =>
      (await listenMessageQueue({ address: `/listenfds-life-${process.pid}`, removeOnStop: true, activation: 'never' }))
        .socket,
  ]) {
    const endpoint = (await make()) as unknown as { [key: symbol]: () => Promise<void> } & NodeJS.EventEmitter;
    let closed = false;
    endpoint.once('close', () => (closed = true));
    await endpoint[dispose]!();
    t.ok(closed);
    await (await make()).close(); // the address is free again
  }
});

async function pair(t: Test): Promise<{ near: SequentialPacketSocket; far: SequentialPacketSocket }> {
  const path = join(temporaryFolder(t), 's');
  const { server } = await listenSequentialPacket({ path, activation: 'never' });
  const accepted = once(server, 'connection') as Promise<[SequentialPacketSocket]>;
  const { socket: near } = await connectSequentialPacket(path);
  const [far] = await accepted;
  t.teardown(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far };
}

t.test('setTimeout() tells of silence, and what arrives or leaves puts it off', async (t) => {
  const { near, far } = await pair(t);
  t.equal(near.timeout, 0);
  let timeouts = 0;
  t.equal(
    near.setTimeout(60, () => timeouts++),
    near,
  );
  t.equal(near.timeout, 60);
  await once(near, 'timeout');
  t.equal(timeouts, 1, 'the callback has heard of it');
  near.setTimeout(0);
  t.equal(near.timeout, 0);
  const never = (): void => void t.fail('it was switched off');
  near.setTimeout(20, never);
  near.setTimeout(0, never);
  far.write('x');
  await once(near, 'data');
  await new Promise((resolve) => setTimeout(resolve, 60));
});

t.test('destroySoon() sends what is still to be sent', async (t) => {
  const { near, far } = await pair(t);
  const packets: string[] = [];
  far.on('data', (packet: Buffer) => packets.push(String(packet)));
  for (let i = 0; i < 100; i++) near.write(String(i));
  near.destroySoon();
  await once(far, 'end');
  t.equal(packets.length, 100);
  if (!near.destroyed) await once(near, 'close');
  near.destroySoon(); // once more does nothing
});

t.test('what is no message is an error of the stream', async (t) => {
  const { near } = await pair(t);
  near.write(7 as never);
  const [error] = (await once(near, 'error')) as [Error];
  t.match(error, { name: 'TypeError', message: /must be a string or bytes/ });
});
