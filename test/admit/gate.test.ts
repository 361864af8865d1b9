// What stands before the events of a server lets them through as they are: other packages wrap and emit them, too.
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { drain, listen } from 'listenfds';

async function served(t: Test, server: Http2Server): Promise<string> {
  await listen(server, { host: '127.0.0.1', port: 0 });
  t.teardown(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test(
  'an event arrives with as many arguments as it was emitted with, and says whether anybody listened',
  async (t) => {
    const server = createHttpServer();
    await listen(server, { host: '127.0.0.1', port: 0 });
    t.teardown(() => server.close());
    for (const event of ['something', 'request', 'stream', Symbol('mine')]) {
      for (const args of [[], [{ once() {} }, {}, 3, undefined, 5]]) {
        t.equal(server.emit(event as 'close', ...(args as [])), false, 'nobody listens');
        let arrived: unknown[] | undefined;
        server.once(event as 'close', (...all: unknown[]) => (arrived = all));
        t.equal(server.emit(event as 'close', ...(args as [])), true);
        t.strictSame(arrived, args, String(event));
      }
    }
  },
);

t.test('the replaced method looks like the original', async (t) => {
  const server = createHttpServer();
  const before = Object.keys(server);
  const { name, length } = server.emit;
  await listen(server, { host: '127.0.0.1', port: 0 });
  t.equal(server.emit.name, name);
  t.equal(server.emit.length, length);
  t.strictSame(
    Object.keys(server).filter((key) => !before.includes(key) && !key.startsWith('_')),
    [],
  );
  await drain(server);
});

t.test('a request over HTTP/2 has its raw headers, and a stream its flags', async (t) => {
  const server = createServer((request, response) => response.end(JSON.stringify(request.rawHeaders)));
  const url = await served(t, server);
  const streamed = once(server, 'stream') as Promise<[ServerHttp2Stream, object, number, string[]]>;
  const session = connect(url);
  t.teardown(() => session.close());
  const raw: unknown = JSON.parse(await text(session.request({ 'x-asked': 'Yes' })));
  t.ok(Array.isArray(raw) && raw.includes('x-asked') && raw.includes('Yes'), JSON.stringify(raw));
  const [, , flags, rawHeaders] = await streamed;
  t.type(flags, 'number');
  t.strictSame(rawHeaders, raw);
});
