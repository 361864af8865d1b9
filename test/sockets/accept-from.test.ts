// A server that accepts without listen(2), as in a sandbox that forbids it, heeds unref() and the signal of its listen() as Node's does.
import t from 'tap';
import { insides, resultOf } from '../support/activate.ts';

const program = (body: string): string => `
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { listenFds } from 'listenfds';
import { acceptInherited } from ${JSON.stringify(insides)};
const [inherited] = listenFds();
const server = createServer();
let closed = 0;
server.on('close', () => (closed += 1));
const controller = new AbortController();
const listen = () => acceptInherited(server, { inherited, fd: inherited.fd, giveBack() {} }, null, controller.signal);
${body}`;

t.test('an abort closes it, once', async (t) => {
  const closed = await resultOf(
    t,
    program(`listen();
await once(server, 'listening');
controller.abort();
await once(server, 'close');
for (let i = 0; i < 3; i++) await turn();
console.log(closed);`),
    { fds: ['tcp()'] },
  );
  t.equal(closed, 1);
});

t.test('one that came before it closes it as well', async (t) => {
  const source = program(`controller.abort();
listen();
await once(server, 'close');
console.log(JSON.stringify([server.listening, closed]));`);
  t.same(await resultOf(t, source, { fds: ['tcp()'] }), [false, 1]);
});

t.test('one that comes when it has closed is none of what listens then', async (t) => {
  const source = program(`listen();
await once(server, 'listening');
server.close();
await once(server, 'close');
server.listen(0, '127.0.0.1');
await once(server, 'listening');
controller.abort();
await turn();
console.log(server.listening);
server.close();`);
  t.equal(await resultOf(t, source, { fds: ['tcp()'] }), true);
});

t.test('it does not keep the process if unref() was called before', async (t) => {
  const source = program(`server.unref();
listen();
await once(server, 'listening');
console.log(true);`);
  t.equal(await resultOf(t, source, { fds: ['tcp()'] }), true);
});
