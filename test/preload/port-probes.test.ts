// Programs that look whether their port is free before they listen on it: they get the socket that was passed all the same.
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, root, type Activated, type Activation } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { tcpQueue } from '../support/queues.ts';

function start(t: Test, args: readonly (string | number)[], activation: Activation): Activated {
  const words = ['--require', join(root, 'dist/register.cjs'), join(root, 'test/fixtures/probing.mjs'), ...args];
  return activate(t, [process.execPath, ...words.map(String)], activation);
}

t.jobs = 4;

const probes = ['none', 'address', 'get-port', 'get-port5', 'detect-port', 'portfinder', 'tcp-port-used'];
const hosts = [undefined, '0.0.0.0', 'localhost'];

for (const probe of probes) {
  t.test(`${probe} over TCP: a unit with another port`, async (t) => {
    for (const host of hosts) {
      const { fd, port } = await held(t);
      const running = start(t, [probe, await freePort(), ...(host ? [host] : [])], { fds: [fd] });
      t.equal(await running.json(), port, `with the host ${host}`);
      t.equal(await get(port), 'hello');
      await running.kill();
    }
  });

  t.test(`${probe} over TCP: a unit with the same port`, async (t) => {
    for (const host of hosts) {
      const { fd, port } = await held(t);
      const running = start(t, [probe, port, ...(host ? [host] : [])], { fds: [fd] });
      t.equal(await running.json(), port, `with the host ${host}`);
      t.equal(await get(port), 'hello');
      await running.kill();
    }
  });

  t.test(`${probe} over a unix socket: the port asked for stands in`, async (t) => {
    for (const host of [undefined, '0.0.0.0']) {
      const path = join(temporaryFolder(t), 's');
      const wanted = await freePort();
      const running = start(t, [probe, wanted, ...(host ? [host] : [])], { fds: [`unix("${path}")`] });
      t.equal(await running.json(), wanted, `with the host ${host}`);
      t.equal(await get(path), 'hello');
      await running.kill();
    }
  });
}

t.test('a probe that closes late: the visitor it has accepted is served by the server', async (t) => {
  const { fd, port } = await held(t);
  const running = start(t, ['late', await freePort()], { fds: [fd], stdin: 'pipe' });
  t.equal(await running.line(), 'probing');
  const visitor = connect(port, '127.0.0.1').setEncoding('utf8');
  t.teardown(() => visitor.destroy());
  await once(visitor, 'connect');
  visitor.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  while (tcpQueue(port).queued > 0) await new Promise(setImmediate);
  running.child.stdin!.write('go on\n');
  t.equal(await running.json(), port);
  let answer = '';
  visitor.on('data', (text: string) => (answer += text));
  await once(visitor, 'close');
  t.match(answer, /^HTTP\/1\.1 200 OK[^]*hello$/);
});

t.test('a server that listens for anything a connection brings is no probe', async (t) => {
  for (const [kind, event] of [
    ['http', 'clientError'],
    ['http', 'connection'],
    ['http2', 'sessionError'],
    ['net', 'connection'],
  ] as const) {
    const { fd, port } = await held(t);
    const program = `require('node:${kind}').createServer().on('${event}', (first, socket = first) => {
      console.log(JSON.stringify('${event}'));
      socket.destroy();
    }).listen(${port}, () => console.log('"listening"'))`;
    const command = ['--require', join(root, 'dist/register.cjs'), '--eval', program];
    const running = activate(t, [process.execPath, ...command], { fds: [fd] });
    t.equal(await running.json(), 'listening', kind);
    const visitor = connect(port, '127.0.0.1').on('error', () => {});
    t.teardown(() => visitor.destroy());
    visitor.write('not a request\r\n\r\n');
    t.equal(await running.json(), event, kind);
    await running.kill();
  }
});
