// Idle HTTP/1 connections move to the next process: their clients notice nothing.
import t from 'tap';
import { RawClient } from '../support/raw-client.ts';
import { alive, exitOf, start, upgrade } from '../support/upgradable.ts';

const pidOf = (text: string): number => Number(/pid (\d+)\n$/.exec(text)?.[1]);

t.test('in an upgrade idle connections go to the successor, and those in flight when they are answered', async (t) => {
  const service = await start(t);
  const old = service.pid;
  const idle = Array.from({ length: 300 }, () => new RawClient(service.port));
  for (const client of idle) t.equal(pidOf(await client.ask('/', /pid \d+\n$/)), old);
  const slow = new RawClient(service.port);
  slow.send('/slow?ms=3000');
  const half = new RawClient(service.port);
  await half.ask('/', /pid \d+\n$/);
  half.text = '';
  half.socket.write('GET / HTTP/1.1\r\nHost: te');
  const { exitCode } = await upgrade(old);
  t.equal(exitCode, 0);
  const started = performance.now();
  const next = await Promise.all(idle.map(async (client) => pidOf(await client.ask('/', /pid \d+\n$/))));
  t.notOk(next.includes(old), 'the successor answers on the same connections');
  t.equal(new Set(next).size, 1);
  t.ok(performance.now() - started < 3_000);
  half.socket.write('st\r\n\r\n');
  await half.until(/pid \d+\n$/);
  t.equal(pidOf(half.text), old, 'what is half read does not move');
  await slow.until(/slow \d+\n$/);
  t.match(slow.text, new RegExp(`Connection: keep-alive[^]*slow ${old}`));
  t.equal(pidOf(await slow.ask('/', /pid \d+\n$/)), next[0], 'answered, and moved');
  t.equal(await exitOf(service), 0);
  t.same(alive(service), [next[0]]);
  for (const client of [...idle, slow, half]) client.socket.destroy();
});
