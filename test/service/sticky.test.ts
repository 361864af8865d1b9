// Connections that the primary of a cluster sends to its workers one by one, and that leave its process with that.
import { join } from 'node:path';
import t from 'tap';
import { io } from 'socket.io-client';
import { activate, root } from '../support/activate.ts';
import { held } from '../support/held.ts';
import { exchange, get } from '../support/http.js';

t.test('sticky connections are served by workers, and neither counted nor waited for by the primary', async (t) => {
  const { fd, port } = await held(t);
  const program = activate(t, [process.execPath, join(root, 'test/fixtures/sticky.js')], { fds: [fd] });
  for (let i = 0; i < 2; i++) t.equal(await program.json(), port);
  for (const method of ['GET', 'POST', 'GET', 'POST', 'GET', 'POST']) {
    t.equal((await exchange({ port, method, headers: { 'content-length': '0' } })).body, 'hello', method);
  }
  const socket = io(`http://127.0.0.1:${port}`, { transports: ['polling'] });
  await new Promise<void>((resolve) => void socket.once('connect', resolve));
  const first = await socket.emitWithAck('echo', 'hello');
  t.match(first, /^hello from \d+$/);
  for (let i = 0; i < 5; i++) t.equal(await socket.emitWithAck('echo', 'hello'), first, 'its session has one worker');
  socket.close();
  await get({ port, path: '/stats' });
  t.match(await program.json(), { refused: 0 });

  const slow = get({ port, path: '/slow' });
  t.equal(await program.json(), 'slow');
  const begun = performance.now();
  program.child.kill('SIGTERM');
  t.equal(await slow, 'hello', 'onStop() waits for the workers');
  t.match(await program.ended, { code: 0, stderr: '' });
  t.ok(performance.now() - begun < 3_000, 'and nothing else is waited for');
});
