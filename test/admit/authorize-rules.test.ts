// What a rule may be, and what its answers mean.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { authorize, type RefusedMessage } from 'listenfds';
import { temporaryFolder } from '../support/folder.ts';

/** Why a client of ours is refused by a rule, and the warnings that come with it. */
async function refusal(t: Test, rule: () => unknown): Promise<{ reason: string; warnings: string[] }> {
  const path = join(temporaryFolder(t), 's');
  const server = createServer().listen(path);
  authorize(server, rule as () => boolean);
  const warnings: string[] = [];
  const warned = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', warned);
  let reason = '';
  const note = (message: unknown): void => {
    if ((message as RefusedMessage).server === server) ({ reason } = message as RefusedMessage);
  };
  subscribe('listenfds:refused', note);
  await once(server, 'listening');
  const client = connect(path);
  client.on('error', () => {});
  await once(client, 'close');
  unsubscribe('listenfds:refused', note);
  await new Promise((resolve) => setImmediate(resolve)); // a warning comes one turn later
  process.off('warning', warned);
  server.close();
  return { reason, warnings };
}

t.test('a rule that says no is heard without a warning', async (t) => {
  const { reason, warnings } = await refusal(t, () => false);
  t.match(
    reason,
    new RegExp(`: uid ${process.getuid!()}, gid ${process.getgid!()} \\(pid ${process.pid}\\) is not allowed$`),
  );
  t.strictSame(warnings, []);
});

t.test('a rule that says anything else lets nobody in, and is warned about', async (t) => {
  for (const [rule, says] of [
    [() => undefined, /undefined/],
    [() => 1, /number/],
    [async () => true, /a promise/],
    [() => Promise.reject(new Error('no')), /a promise/],
  ] as const) {
    const { reason, warnings } = await refusal(t, rule);
    t.match(reason, says);
    t.match(warnings, [says]);
  }
});

t.test('what is neither lists nor a function is refused at the call', (t) => {
  for (const rule of [undefined, null, 5, 'root', true, ['root'], Symbol('root')]) {
    const server = createServer();
    t.throws(
      () => authorize(server, rule as never),
      { code: 'LISTENFDS_BAD_OPTION', message: /^authorize/i },
      String(rule),
    );
  }
  t.end();
});
