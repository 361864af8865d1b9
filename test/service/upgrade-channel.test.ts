// Who can use the ways in which a service, its successor and `listenfds upgrade` talk to each other. Anybody may bind an
// abstract name and connect to one, so each end looks at who the other is.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { serialize } from 'node:v8';
import { join } from 'node:path';
import t from 'tap';
import { activate, activateModule, root } from '../support/activate.ts';
import { as, withoutOtherUsers } from '../support/as.ts';
import { cli } from '../support/cli.ts';
import { get } from '../support/http.js';

const skip = withoutOtherUsers();
const controlName = (pid: number): string => `\0${`listenfds/control/${pid}/`.padEnd(107, '.')}`;

const service = `import { serve } from 'listenfds';
const { listening } = await serve((_, response) => response.end(String(process.pid)), { port: 0, upgrade: true });
console.log(listening[0].address.port);`;

t.test('a command of another user is not obeyed', { skip }, async (t) => {
  const running = activateModule(t, service, { through: as({ uid: 12_345, gid: 1 }) });
  const port = await running.line();
  const stranger = activate(t, [process.execPath, join(root, 'dist/cli.js'), 'upgrade', String(running.pid)], {
    through: as({ uid: 54_321, gid: 1 }),
  });
  const { code, stderr } = await stranger.ended;
  t.equal(code, 1);
  t.match(stderr, 'refused to answer');
  t.equal(await get(Number(port)), String(running.pid), 'it is the same process');
});

t.test('who answers in the place of another process is found out', async (t) => {
  const running = activateModule(t, "console.log('up'); setInterval(() => {}, 1000)");
  await running.line();
  const impostor = createServer((socket) => {
    socket.on('error', () => {}); // it is left in the middle
    socket.end('{"ok":true,"pid":1,"durationMs":1}\n');
  });
  impostor.listen({ path: controlName(running.pid), exclusive: true });
  await once(impostor, 'listening');
  t.teardown(() => impostor.close());
  const { code, stderr } = await cli(t, ['upgrade', String(running.pid)]);
  t.equal(code, 1);
  t.match(stderr, `Process ${process.pid} answers in the place of ${running.pid}`);
});

t.test('a name that is taken already leaves the service without that way in, and says so', async (t) => {
  const running = activateModule(t, `await new Promise((go) => process.stdin.once('data', go));\n${service}`, {
    stdin: 'pipe',
  });
  const squatter = createServer().listen({ path: controlName(running.pid), exclusive: true });
  await once(squatter, 'listening');
  t.teardown(() => squatter.close());
  running.child.stdin!.end('go\n');
  const port = await running.line();
  t.equal(await get(Number(port)), String(running.pid));
  while (!running.stderr.includes('will not reach this process')) await once(running.child.stderr!, 'data');
});

// As the old process says it: the length, then what is handed over.
function hello(state: unknown): Buffer {
  const body = serialize({ hello: { notifySocket: null, watchdogUsec: null, state } });
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

t.test('a successor takes its state from its own user or root, and from nobody else', { skip }, async (t) => {
  const name = `listenfds-test-${process.pid}`.padEnd(107, '.');
  const source = `
    import { createServer } from 'node:net';
    const server = createServer((socket) => socket.end(Buffer.from('${hello('forged').toString('hex')}', 'hex')));
    server.listen({ path: ${JSON.stringify(`\0${name}`)} }, () => console.log('up'));`;
  const asked = async (teller: number, asking: number): Promise<string> => {
    const telling = activateModule(t, source, { through: as({ uid: teller, gid: 1 }) });
    await telling.line();
    const running = activateModule(
      t,
      "import { upgradeState } from 'listenfds'; console.log(JSON.stringify(await upgradeState()))",
      { through: as({ uid: asking, gid: 1 }), env: { LISTENFDS_UPGRADE: name } },
    );
    const state = await running.line();
    await telling.kill();
    return state;
  };
  t.equal(await asked(54_321, 12_345), 'null', "another user's");
  t.equal(await asked(54_321, 0), 'null', "a user's, asked by root");
  t.equal(await asked(0, 12_345), '"forged"', "root's");
  t.equal(await asked(12_345, 12_345), '"forged"', 'its own');
});

t.test('what is no command is not answered', async (t) => {
  const running = activateModule(t, service);
  const port = await running.line();
  const client = connect({ path: controlName(running.pid) });
  client.end('exit\n');
  client.on('error', () => {});
  await once(client, 'close');
  t.equal(await get(Number(port)), String(running.pid));
});
