// A program with the preload that also listens on sockets of its own, beside those that were passed.
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, root, type Activated, type Activation } from '../support/activate.ts';
import { held } from '../support/held.ts';
import { exchange } from '../support/http.js';

function start(t: Test, source: string, activation: Activation): Activated {
  return activate(t, [process.execPath, '--require', join(root, 'dist/register.cjs'), '--eval', source], activation);
}

// The public server asks the inner one once it is told to.
const proxy = `
  const http = require('node:http');
  const say = (word) => console.log(JSON.stringify(word));
  const inner = http.createServer((request, response) => response.end('from inside')).listen(0, '127.0.0.1', () => {
    const { port } = inner.address();
    http
      .createServer((request, response) => {
        say('asked');
        process.stdin.once('data', () => {
          http.get({ port, agent: false }, (answer) => answer.pipe(response)).on('error', ({ code }) => response.end(code));
        });
      })
      .on('draining', () => say('draining'))
      .listen(3000, () => say('up'));
  });
  inner.on('close', () => say('inner closed'));
`;

t.test('a server behind the one that was lent drains after it: a request through both is answered', async (t) => {
  const { fd, port } = await held(t);
  const running = start(t, proxy, { fds: [fd], stdin: 'pipe', env: { LISTENFDS_MISMATCH: 'ignore' } });
  t.equal(await running.json(), 'up');
  const answer = exchange(port);
  t.equal(await running.json(), 'asked');
  process.kill(running.pid, 'SIGTERM');
  t.equal(await running.json(), 'draining');
  running.child.stdin!.write('go on\n');
  t.same(await answer, { status: 200, body: 'from inside' });
  t.equal(await running.json(), 'inner closed');
  t.match(await running.ended, { code: 0 });
});

t.test('idle exit says why it is off', async (t) => {
  const { fd } = await held(t);
  const source = `
    const { createServer } = require('node:net');
    process.on('warning', ({ message }) => console.log(JSON.stringify(message)));
    createServer().listen(0, '127.0.0.1', function () {
      console.log(this.address().port);
      createServer(() => {}).listen(3000);
    });`;
  const env = { LISTENFDS_MISMATCH: 'ignore', LISTENFDS_IDLE_TIMEOUT: '50ms' };
  const running = start(t, source, { fds: [fd], env });
  const own = await running.line();
  t.equal(
    await running.json(),
    `LISTENFDS_IDLE_TIMEOUT has no effect while the program listens on 127.0.0.1:${own} itself: nobody would keep that socket while it is away`,
  );
});
