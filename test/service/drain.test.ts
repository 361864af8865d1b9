// drain(): what was accepted ends, and nothing new begins.
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server, type ClientHttp2Session } from 'node:http2';
import { connect, createServer as createNetServer, type AddressInfo, type Server, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { drain, listen, ListenFdsError, type DrainOptions, type DrainResult } from 'listenfds';

const port = (server: Server): number => (server.address() as AddressInfo).port;

/** A server on a free port, and a way to hold its requests until the test lets them go. */
async function served(t: Test, listener: RequestListener): Promise<Server> {
  const server = createServer({ keepAliveTimeout: 60_000 }, listener);
  await listen(server, { port: 0, host: '127.0.0.1' });
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

/** A client that writes bytes and reads bytes: what HTTP clients hide is what matters here. */
class Client {
  readonly socket: Socket;
  text = '';
  readonly ended: Promise<unknown>;

  constructor(server: Server) {
    this.socket = connect(port(server), '127.0.0.1').setEncoding('latin1');
    this.socket.on('data', (chunk: string) => (this.text += chunk));
    this.socket.on('error', () => {});
    this.ended = once(this.socket, 'close');
  }

  send(...targets: string[]): void {
    this.socket.write(targets.map((target) => `GET ${target} HTTP/1.1\r\nHost: test\r\n\r\n`).join(''));
  }

  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) await once(this.socket, 'data');
  }
}

/** Starts a drain and waits until it has stopped accepting. */
async function begun(server: Server, options?: DrainOptions): Promise<{ result: Promise<DrainResult> }> {
  const started = once(server, 'draining');
  const result = drain(server, options);
  await started;
  return { result };
}

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

/** A request listener that answers when told to. */
function held(): { listener: RequestListener; arrived: Promise<void>; release: () => void } {
  let release!: () => void;
  let arrive!: () => void;
  const arrived = new Promise<void>((resolve) => (arrive = resolve));
  const released = new Promise<void>((resolve) => (release = resolve));
  return {
    listener: (_, response) => {
      arrive();
      void released.then(() => response.end('answer'));
    },
    arrived,
    release,
  };
}

t.test('a request in flight is answered with Connection: close, and nobody new gets in', async (t) => {
  const { listener, arrived, release } = held();
  const server = await served(t, listener);
  const { port: number } = server.address() as AddressInfo;
  const client = new Client(server);
  client.send('/');
  await arrived;
  const draining = await begun(server);
  const [error] = await once(connect(number, '127.0.0.1'), 'error');
  t.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED');
  release();
  t.match(await draining.result, { completed: 1, closedIdle: 0, destroyed: 0 });
  await client.ended;
  t.match(client.text, /Connection: close/);
  t.match(client.text, /answer/);
});

t.test('an idle connection is left open for grace, and a request that comes meanwhile is answered', async (t) => {
  const server = await served(t, (_, response) => response.end('answer'));
  const [idle, late] = [new Client(server), new Client(server)];
  for (const client of [idle, late]) {
    client.send('/');
    await client.until(/answer/);
  }
  const draining = await begun(server, { grace: 300 });
  late.text = '';
  late.send('/');
  await late.ended;
  t.match(late.text, /Connection: close[^]*answer/);
  t.match(await draining.result, { completed: 1, closedIdle: 1, destroyed: 0 });
});

for (const [how, headers] of [
  ['an object', { connection: 'keep-alive', 'x-other': 'kept' }],
  ['an array', ['Connection', 'keep-alive', 'x-other', 'kept']],
] as const) {
  t.test(`a Connection: keep-alive that the app passes on as ${how} does not keep a draining connection`, async (t) => {
    const server = await served(t, (_, response) => {
      response.writeHead(200, headers as Record<string, string>);
      response.end('answer');
    });
    const client = new Client(server);
    client.send('/');
    await client.until(/keep-alive[^]*answer/);
    const draining = await begun(server);
    client.text = '';
    client.send('/');
    await client.ended;
    t.match(client.text, /Connection: close/i);
    t.notMatch(client.text, /keep-alive/i);
    t.match(client.text, /x-other: kept/);
    t.match(await draining.result, { completed: 1, closedIdle: 0 });
  });
}

t.test('a response whose head is out already goes on to its end', async (t) => {
  const { arrived, listener, release } = held();
  const server = await served(t, (request, response) => {
    response.write('head and ');
    listener(request, response as never);
  });
  const client = new Client(server);
  client.send('/');
  await arrived;
  await client.until(/head and/);
  const draining = await begun(server, { grace: 20 });
  release();
  t.match(await draining.result, { closedIdle: 1, destroyed: 0 });
  t.match(client.text, /answer/);
});

t.test('pipelined requests are all answered, and the last says close', async (t) => {
  const { arrived, listener, release } = held();
  const server = await served(t, (request, response) => {
    response.setHeader('x-path', request.url!);
    listener(request, response as never);
  });
  const client = new Client(server);
  client.send('/first', '/second', '/third');
  await arrived;
  await new Promise((resolve) => setImmediate(resolve)); // the parser hands out all three in one turn
  const draining = await begun(server);
  release();
  await client.ended;
  t.equal(count(client.text, /HTTP\/1.1 200/g), 3);
  t.equal(count(client.text, /Connection: close/g), 1);
  t.match(client.text, /x-path: \/third\r\n(.+\r\n)*Connection: close/);
  t.match(await draining.result, { completed: 1, destroyed: 0 });
});

t.test('a request of which a part is here when the grace ends is waited for', async (t) => {
  const server = await served(t, (_, response) => response.end('answer'));
  const client = new Client(server);
  await once(client.socket, 'connect');
  client.send('/');
  await client.until(/answer/);
  const draining = await begun(server, { grace: 100 });
  client.socket.write('GET / HTTP/1.1\r\n');
  const later = new Promise((resolve) => setTimeout(resolve, 150)); // past the grace
  await later;
  client.text = '';
  client.socket.write('Host: test\r\n\r\n');
  await client.ended;
  t.match(client.text, /Connection: close[^]*answer/);
  t.match(await draining.result, { completed: 1, closedIdle: 0 });
});

t.test('a request that came while the event loop was busy at the end of the grace is answered', async (t) => {
  const server = await served(t, (_, response) => response.end('answer'));
  const client = new Client(server);
  client.send('/');
  await client.until(/answer/);
  const draining = await begun(server, { grace: 100 });
  client.text = '';
  client.send('/');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200); // past the grace: nothing is read meanwhile
  await client.ended;
  t.match(client.text, /Connection: close[^]*answer/);
  t.match(await draining.result, { completed: 1, closedIdle: 0 });
});

t.test('a body that is still being sent is received to its end', async (t) => {
  let arrive!: () => void;
  const arrived = new Promise<void>((resolve) => (arrive = resolve));
  const server = await served(t, (request, response) => {
    arrive();
    request.pipe(response);
  });
  const client = new Client(server);
  client.socket.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n');
  await arrived;
  client.socket.write('half');
  await client.until(/half/);
  const draining = await begun(server, { grace: 20 });
  client.socket.write('rest');
  t.match(await draining.result, { closedIdle: 1, destroyed: 0 }, 'the head had gone out with keep-alive');
  t.match(client.text, /100 Continue/);
  t.match(client.text, /rest/);
});

t.test('a request that its server has to tell to go on is one in flight', async (t) => {
  let arrive!: () => void;
  const arrived = new Promise<void>((resolve) => (arrive = resolve));
  const server = await served(t, () => t.fail('it goes to checkContinue'));
  server.on('checkContinue', (request, response) => {
    arrive();
    response.writeContinue();
    request.pipe(response);
  });
  const client = new Client(server);
  client.socket.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
  await arrived;
  const draining = await begun(server, { grace: 20 });
  client.socket.write('rest');
  t.match(await draining.result, { destroyed: 0 });
  t.match(client.text, /Connection: close\r\n[^]*rest/);
});

t.test('after the timeout what is left is cut, and counted', async (t) => {
  const { listener, arrived } = held();
  const server = await served(t, listener);
  const client = new Client(server);
  client.send('/');
  await arrived;
  t.match(await drain(server, { timeout: 50 }), { completed: 0, closedIdle: 0, destroyed: 1 });
  await client.ended;
});

t.test('upgraded connections are named in the draining event, and end as the program ends them', async (t) => {
  const server = await served(t, (_, response) => response.end());
  server.on('upgrade', (_, socket: Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n');
  });
  const clients = [new Client(server), new Client(server)];
  for (const client of clients) {
    client.socket.write('GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n');
    await client.until(/101/);
  }
  server.once('draining', ({ sockets, deadline }: { sockets: Socket[]; deadline: number }) => {
    t.equal(sockets.length, 2);
    t.ok(deadline > Date.now());
    sockets[0]!.end('bye');
  });
  t.match(await drain(server, { timeout: 200, grace: 10 }), { completed: 1, closedIdle: 0, destroyed: 1 });
  t.ok(clients.some(({ text }) => text.endsWith('bye')));
});

t.test('a server that does not speak HTTP waits for its connections until the timeout', async (t) => {
  const server = createNetServer((socket) => socket.on('error', () => {}));
  await listen(server, { port: 0, host: '127.0.0.1' });
  const [quick, slow] = [new Client(server), new Client(server)];
  await Promise.all([once(server, 'connection'), once(quick.socket, 'connect'), once(slow.socket, 'connect')]);
  server.once('draining', ({ sockets }: { sockets: Socket[] }) => {
    t.equal(sockets.length, 2);
    quick.socket.end();
  });
  t.match(await drain(server, { timeout: 200, grace: 10 }), { completed: 1, closedIdle: 0, destroyed: 1 });
});

/** One HTTP/2 request, its body. */
function request(session: ClientHttp2Session): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = session.request().setEncoding('utf8').on('error', reject);
    let body = '';
    stream.on('data', (chunk: string) => (body += chunk)).on('end', () => resolve(body));
    stream.end();
  });
}

t.test('HTTP/2 streams that are open or on their way finish behind the GOAWAY', async (t) => {
  const { arrived, listener, release } = held();
  const server = createHttp2Server(listener as never);
  const { url } = await listen(server, { port: 0, host: '127.0.0.1' });
  const session = connectHttp2(url!);
  const goaway = once(session, 'goaway');
  const first = request(session);
  await arrived;
  const racing = request(session);
  await new Promise((resolve) => setImmediate(resolve)); // it is sent now, and not received before the GOAWAY is sent
  const draining = await begun(server);
  const [code, lastStream] = (await goaway) as [number, number];
  t.same([code, lastStream], [0, 2 ** 31 - 1], 'the first GOAWAY refuses nothing');
  release();
  t.same(await Promise.all([first, racing]), ['answer', 'answer']);
  t.match(await draining.result, { completed: 1, closedIdle: 0, destroyed: 0 });
});

t.test('an HTTP/2 request that a client sends before it hears of the GOAWAY is answered', async (t) => {
  const server = createHttp2Server((_, response) => response.end('answer'));
  await listen(server, { port: 0, host: '127.0.0.1' });
  const network = createNetServer((client) => {
    const upstream = connect(port(server), '127.0.0.1');
    client.pipe(upstream).pipe(client);
    network.emit('through', upstream);
  });
  await once(network.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => network.close());
  const passing = once(network, 'through') as Promise<[Socket]>;
  const session = connectHttp2(`http://127.0.0.1:${port(network)}`);
  t.equal(await request(session), 'answer');
  const [downstream] = await passing;
  downstream.pause(); // the client hears nothing for a while
  const draining = await begun(server);
  const crossing = request(session);
  await once(server, 'stream');
  downstream.resume();
  t.equal(await crossing, 'answer');
  t.match(await draining.result, { completed: 1, closedIdle: 0, destroyed: 0 });
});

t.test('a server that listen() never saw is drained as well as node:http knows it', async (t) => {
  const server = createServer({ keepAliveTimeout: 60_000 }, (_, response) => response.end('answer')).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const client = new Client(server);
  client.send('/');
  await client.until(/answer/);
  t.match(await drain(server, { grace: 20 }), { completed: 0, destroyed: 0 });
  await client.ended;
});

t.test('two calls are one drain, and bad options begin none', async (t) => {
  const server = await served(t, (_, response) => response.end());
  await t.rejects(drain(server, { timeout: -1 }), { code: 'LISTENFDS_BAD_OPTION', message: /timeout is -1/ });
  await t.rejects(drain(server, { grace: Number.NaN }), ListenFdsError);
  t.ok(server.listening);
  const [one, other] = await Promise.all([drain(server), drain(server)]);
  t.equal(one, other);
  t.notOk(server.listening);
  await listen(server, { port: 0 });
  t.match(await drain(server), { completed: 0 }, 'a server may listen, and be drained, again');
});
