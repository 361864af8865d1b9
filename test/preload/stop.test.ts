// The preload's stop ends by its deadline, whoever hangs.
import { get as request } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, root, type Activated } from '../support/activate.ts';
import { receive } from '../support/receiver.ts';

const register = join(root, 'dist/register.js');

function start(t: Test, program: readonly string[], env: Record<string, string>): Activated {
  const command = [process.execPath, '--import', register, ...program];
  return activate(t, command, { fds: ['tcp()'], env: { LISTENFDS_MISMATCH: 'ignore', ...env } });
}

t.test('a cluster worker whose event loop stands still is killed at the deadline', async (t) => {
  const program = start(t, ['test/fixtures/hanging-cluster.js'], { LISTENFDS_DRAIN_TIMEOUT: '1s' });
  const port = Number(await program.line());
  request({ host: '127.0.0.1', port, path: '/hang' }).on('error', () => {});
  t.equal(await program.line(), 'hangs');
  const started = performance.now();
  program.child.kill('SIGTERM');
  t.match(await program.ended, { code: 1, stderr: /Workers were killed after \d+ ms: \d+/ });
  t.ok(performance.now() - started < 5_000);
});

t.test('with LISTENFDS_DRAIN=first a handler that never ends is not extended for ever', async (t) => {
  const manager = await receive(t);
  const source = `
    import { createServer } from 'node:http';
    process.on('SIGTERM', () => setInterval(() => {}, 1000) && console.log('own handler'));
    createServer().listen(3000, () => console.log('up'));`;
  const env = { NOTIFY_SOCKET: manager.address, LISTENFDS_DRAIN: 'first', LISTENFDS_DRAIN_TIMEOUT: '2s' };
  const program = start(t, ['--input-type=module', '--eval', source], env);
  t.equal(await program.line(), 'up');
  program.child.kill('SIGTERM');
  t.equal(await program.line(), 'own handler');
  const { text } = await manager.until(/STOPPING/);
  const extended = Number(/EXTEND_TIMEOUT_USEC=(\d+)/.exec(text)?.[1]) / 1000;
  t.ok(extended <= 3_000, `${extended} ms`);
  t.notMatch((await manager.message()).text, /EXTEND_TIMEOUT_USEC/, 'the next time nothing is asked for');
});
