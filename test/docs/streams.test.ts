// The examples of docs/streams.md: what they keep open ends when the service stops, in a way that their clients know.
import { once } from 'node:events';
import { get as request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { io } from 'socket.io-client';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { activate, root, type Activated } from '../support/activate.ts';

async function start(t: Test, example: string): Promise<Activated & { url: string }> {
  const command = [process.execPath, join(root, 'examples/streams', example)];
  const program = activate(t, command, { env: { PORT: '0' } });
  return Object.assign(program, { url: await program.line() });
}

/** Tells the service to stop, and says how long that took. */
async function stop(t: Test, program: Activated): Promise<void> {
  const started = performance.now();
  program.child.kill('SIGTERM');
  t.match(await program.ended, { code: 0, stderr: '' });
  const took = performance.now() - started;
  t.ok(took < 3_000, `${Math.round(took)} ms`);
  t.comment(`stopped after ${Math.round(took)} ms`);
}

const answered = (url: string): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => request(url, { agent: false }, resolve).on('error', reject));

t.test('an event stream ends as a response does', async (t) => {
  const program = await start(t, 'sse.js');
  const response = await answered(program.url);
  const [first] = (await once(response, 'data')) as [Buffer];
  t.match(String(first), /data: hello/);
  const rest = text(response);
  await stop(t, program);
  await rest;
  t.ok(response.complete, 'not cut');
});

t.test('a long poll is answered', async (t) => {
  const program = await start(t, 'long-poll.js');
  const polling = answered(`${program.url}poll`);
  // Answered behind the poll: that one has arrived.
  await answered(program.url).then((response) => response.resume());
  await stop(t, program);
  t.equal(await text(await polling), '[]');
});

t.test('a WebSocket is closed with the code for a restart', async (t) => {
  const program = await start(t, 'ws.js');
  const socket = new WebSocket(program.url.replace('http', 'ws'));
  await once(socket, 'open');
  socket.send('hello');
  t.equal(String((await once(socket, 'message'))[0]), 'you said hello');
  const closed = once(socket, 'close');
  await stop(t, program);
  t.equal((await closed)[0], 1012);
});

for (const transport of ['polling', 'websocket'] as const) {
  t.test(`socket.io over ${transport} ends so that its client connects again`, async (t) => {
    const program = await start(t, 'socket-io.js');
    const socket = io(program.url, { transports: [transport], forceNew: true });
    t.teardown(() => socket.close());
    t.equal(await socket.emitWithAck('say', 'hello'), 'you said hello');
    const disconnected = new Promise<string>((resolve) => socket.once('disconnect', resolve));
    const again = new Promise<unknown>((resolve) => socket.io.once('reconnect_attempt', resolve));
    await stop(t, program);
    t.match(await disconnected, /^transport (close|error)$/);
    await again;
  });
}
