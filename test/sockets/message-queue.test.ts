import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import t from 'tap';
import { listenMessageQueue, type MessageQueue, type MessageQueueTarget } from 'listenfds/sockets';
import { activateModule, resultOf } from '../support/activate.ts';

const unique = (): string => `/lfd-test-${process.pid}-${Math.random().toString(36).slice(2)}`;

async function open(
  t: { teardown(action: () => unknown): unknown },
  target: MessageQueueTarget,
): Promise<MessageQueue> {
  const { socket: queue } = await listenMessageQueue({ activation: 'never', removeOnStop: true, ...target });
  t.teardown(() => queue.close());
  return queue;
}

t.test('messages come in the order of their priority', async (t) => {
  const queue = await open(t, { address: unique(), maxMessages: 5, messageSize: 100, mode: 0o600 });
  t.same(queue.attributes, { maxMessages: 5, messageSize: 100, messages: 0 });
  await queue.send('low', 1);
  await queue.send('', 5);
  await queue.send('lower');
  t.equal(queue.attributes.messages, 3, 'and stay in the queue while nobody listens');
  const got: [string, number][] = [];
  queue.on('message', (message, priority) => got.push([String(message), priority]));
  while (got.length < 3) await once(queue, 'message');
  t.same(got, [
    ['', 5],
    ['low', 1],
    ['lower', 0],
  ]);
  await t.rejects(queue.send('x'.repeat(101)), { code: 'EMSGSIZE' });
  await t.rejects(queue.send('x', 1 << 20), {
    code: 'LISTENFDS_BAD_OPTION',
    message: /^priority is 1048576, but must be a whole number, from 0 to 32767/,
  });
});

t.test('a full queue makes the sender wait', async (t) => {
  const address = unique();
  const queue = await open(t, { address, maxMessages: 3, messageSize: 10 });
  const receiver = await open(t, { address, removeOnStop: false });
  const sent = Array.from({ length: 20 }, (_, i) => queue.send(`${i}`));
  t.equal(queue.getSendQueueCount(), 17);
  const got: number[] = [];
  receiver.on('message', (message) => got.push(Number(message)));
  await Promise.all(sent);
  while (got.length < 20) await once(receiver, 'message');
  t.same(
    got,
    Array.from({ length: 20 }, (_, i) => i),
  );
});

t.test('an inherited queue, read-only as systemd opens it, is answered through a descriptor of our own', async (t) => {
  const name = unique();
  const other = await open(t, { address: name, maxMessages: 4, messageSize: 50 });
  // systemd: mq_open(O_RDONLY | O_NONBLOCK | O_CREAT)
  const readOnly = `ctypes.CDLL(None).mq_open(b"${name}", os.O_RDONLY | os.O_NONBLOCK)`;
  const source = `
    import fs from 'node:fs';
    import { listenMessageQueue } from 'listenfds/sockets';
    const { socket: queue } = await listenMessageQueue('${name}');
    console.log(JSON.stringify({ name: queue.name, ...queue.attributes }));
    queue.once('message', async (message, priority) => {
      queue.close(); // it would get its own answer
      console.log(JSON.stringify([String(message), priority, fs.existsSync('/proc/self/fd/3')]));
    });`;
  const program = activateModule(t, source, { fds: [readOnly], names: ['jobs'] });
  t.same(await program.json(), { name, maxMessages: 4, messageSize: 50, messages: 0 });
  await other.send('job', 3);
  t.same(await program.json(), ['job', 3, true], 'the manager’s descriptor is free again');
  t.equal((await program.ended).stderr, '');

  const sender = `
    import { listenMessageQueue } from 'listenfds/sockets';
    const { socket: queue } = await listenMessageQueue({ name: 'jobs' });
    await queue.send('answer', 2);
    queue.close();
    console.log(JSON.stringify('sent'));`;
  t.equal(await resultOf(t, sender, { fds: [readOnly], names: ['jobs'] }), 'sent');
  const [message, priority] = await once(other, 'message');
  t.same([String(message), priority], ['answer', 2]);
});

t.test('a queue that cannot be opened is a coded error, and nothing leaks', async (t) => {
  await t.rejects(open(t, { address: '/a/b' }), { code: 'LISTENFDS_BAD_ADDRESS' });
  await t.rejects(open(t, { address: 'a' }), { code: 'LISTENFDS_BAD_ADDRESS' });
  await t.rejects(open(t, { address: unique(), maxMessages: 1 }), { code: 'LISTENFDS_BAD_OPTION' });
  await t.rejects(open(t, { address: unique(), maxMessages: 1 << 30, messageSize: 1 << 30 }), { code: 'EINVAL' });
  const before = readdirSync('/proc/self/fd').length;
  let errors = 0;
  for (let i = 0; i < 1000; i++) {
    const { socket: queue } = await listenMessageQueue({ address: unique(), activation: 'never', removeOnStop: true });
    void queue.send('x').catch(() => {});
    queue.close();
    await queue.send('x').catch(() => (errors += 1));
  }
  t.equal(errors, 1000);
  t.equal(readdirSync('/proc/self/fd').length, before);
});

t.test('an answer goes to the queue that was passed, which has no name any more', async (t) => {
  const name = unique();
  const opened = `(lambda libc: (libc.mq_open(b"${name}", os.O_RDONLY | os.O_NONBLOCK | os.O_CREAT, 0o600, None), libc.mq_unlink(b"${name}"))[0])(ctypes.CDLL(None))`;
  const source = `
    import { listenMessageQueue } from 'listenfds/sockets';
    const { socket: queue } = await listenMessageQueue({ name: 'jobs' });
    await queue.send('answer', 2);
    console.log(JSON.stringify(queue.attributes.messages));
    queue.close();`;
  t.equal(await resultOf(t, source, { fds: [opened], names: ['jobs'] }), 1);
  const other = await open(t, { address: name });
  t.equal(other.attributes.messages, 0, 'and none of that name was made');
});

t.test('a priority that is not a number sends nothing', async (t) => {
  const queue = await open(t, { address: unique() });
  for (const priority of ['3', 1.5, NaN, -1, null] as never[]) {
    await t.rejects(queue.send('x', priority), { code: 'LISTENFDS_BAD_OPTION' }, String(priority));
  }
  t.equal(queue.attributes.messages, 0);
});

t.test('bytes that are detached while the message waits are not sent, and that is told', async (t) => {
  const address = unique();
  const queue = await open(t, { address, maxMessages: 1, messageSize: 10 });
  const receiver = await open(t, { address, removeOnStop: false });
  const bytes = new Uint8Array(5).fill(7);
  const sent = [queue.send('first'), queue.send(bytes), queue.send('last')];
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  const got: string[] = [];
  receiver.on('message', (message) => got.push(String(message)));
  const results = await Promise.allSettled(sent);
  t.match(results, [
    { status: 'fulfilled', value: 5 },
    { status: 'rejected', reason: { code: 'LISTENFDS_BAD_OPTION', message: /detached before it was sent/ } },
    { status: 'fulfilled', value: 4 },
  ]);
  while (got.length < 2) await once(receiver, 'message');
  t.same(got, ['first', 'last']);
});
