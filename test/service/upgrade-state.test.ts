// What goes along with an upgrade beside the listeners: open connections and state.
import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import { alive, answer, exitOf, listening, start, upgrade } from '../support/upgradable.ts';

t.test('an open raw connection goes to the successor between two messages', async (t) => {
  const service = await start(t, { program: 'upgrade-connections.js', options: {} });
  const client = connect(service.port, '127.0.0.1').setEncoding('utf8');
  const ask = async (text: string): Promise<string> => {
    client.write(text);
    return (await once(client, 'data'))[0] as string;
  };
  t.equal(await ask('one'), `one ${service.pid}`);
  process.kill(service.pid, 'SIGUSR2');
  const { pid } = await listening(service);
  await exitOf(service);
  t.equal(await ask('two'), `two ${pid}`);
  client.destroy();
});

t.test('after an upgrade that failed, open connections are read from as before', async (t) => {
  const service = await start(t, { program: 'upgrade-connections.js' });
  const client = connect(service.port, '127.0.0.1').setEncoding('utf8');
  const ask = async (text: string): Promise<string> => {
    client.write(text);
    return (await once(client, 'data'))[0] as string;
  };
  await ask('one');
  service.behave('crash');
  process.kill(service.pid, 'SIGUSR2');
  while (!/ended with status 1/.test(service.stderr)) await once(service.child.stderr!, 'data');
  t.equal(await ask('two'), `two ${service.pid}`);
  client.destroy();
});

t.test('state goes along as it is: Buffers, Maps and what JSON knows; too much of it is refused', async (t) => {
  const fixture = { program: 'upgrade-state.js', options: { port: 0, host: '127.0.0.1' } };
  for (const [state, expected] of [
    [{ buffer: 1 << 20 }, `buffer ${1 << 20} 7`],
    [{ json: { a: [1, 'two', null], b: { c: true } } }, '{"a":[1,"two",null],"b":{"c":true}}'],
  ] as const) {
    const service = await start(t, { ...fixture, env: { STATE: JSON.stringify(state) } });
    t.equal(await answer(service.port), 'null', 'nobody handed it anything');
    t.equal((await upgrade(service.pid)).exitCode, 0);
    await listening(service);
    t.equal(await answer(service.port), expected);
  }
  const service = await start(t, { ...fixture, env: { STATE: JSON.stringify({ buffer: (64 << 20) + 1 }) } });
  const { exitCode, stderr } = await upgrade(service.pid);
  t.equal(exitCode, 1);
  t.match(stderr, /state takes \d+ bytes, but at most 67108864 can be handed over/);
  t.equal(await answer(service.port), 'null');
  t.same(alive(service), [service.pid]);
});
