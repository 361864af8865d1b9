// drain(): what was accepted ends, and nothing new begins.
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server, type ClientHttp2Session } from 'node:http2';
import { text } from 'node:stream/consumers';
import { connect, createServer as createNetServer, type AddressInfo, type Server, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { drain, listen, ListenFdsError, type DrainOptions, type DrainResult } from 'listenfds';
import { resultOf } from '../support/activate.ts';
import { RawClient } from '../support/raw-client.ts';

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

class Client extends RawClient {
  constructor(server: Server) {
    super(port(server));
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

t.test('a push of the turn in which the drain begins reaches its client before the GOAWAY', async (t) => {
  await drain(await served(t, () => {})); // its code is loaded
  const server = createHttp2Server();
  await listen(server, { port: 0, host: '127.0.0.1' });
  let drained: Promise<DrainResult> | undefined;
  server.on('stream', (stream) => {
    drained = drain(server, { timeout: 10_000, grace: 5_000 });
    stream.pushStream({ ':path': '/pushed' }, (error, push) => {
      if (error) throw error;
      push.respond();
      push.end('pushed');
      stream.end('answer');
    });
    stream.respond();
  });
  const client = connectHttp2(`http://127.0.0.1:${port(server)}`);
  let pushed: Promise<string> | undefined;
  client.once('stream', (stream) => (pushed = text(stream)));
  t.equal(await text(client.request()), 'answer');
  t.match(await drained, { completed: 1, destroyed: 0 });
  t.equal(await pushed, 'pushed');
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
  t.notOk(server.listening);
});

t.test('of pipelined requests none is run whose answer could not be sent any more', async (t) => {
  const run: string[] = [];
  const releases = new Map<string, () => void>();
  const server = await served(t, (request, response) => {
    run.push(request.url!);
    releases.set(request.url!, () => response.end(`<${request.url}>`));
    server.emit(`got ${request.url}`);
  });
  const client = new Client(server);
  client.send('/1');
  await once(server, 'got /1');
  const draining = await begun(server);
  client.send('/2', '/3');
  await once(server, 'got /3');
  for (const path of ['/2', '/3', '/1']) releases.get(path)!();
  await client.ended;
  t.same(client.text.match(/<\/\d>/g), ['</1>', '</2>', '</3>']);
  t.match(await draining.result, { completed: 1, destroyed: 0 });
  t.same(run, ['/1', '/2', '/3']);
});

t.test('a request behind a response that says close is not run', async (t) => {
  const run: string[] = [];
  let release!: () => void;
  const server = await served(t, (request, response) => {
    run.push(request.url!);
    response.writeHead(200, { 'content-length': 2 });
    response.write('a');
    release = () => response.end('b');
  });
  const client = new Client(server);
  client.send('/1');
  await once(server, 'request');
  release();
  await client.until(/ab$/);
  const draining = await begun(server);
  client.send('/2');
  await once(server, 'request');
  client.send('/3');
  while (client.socket.bytesWritten > [...sockets(server)][0]!.bytesRead) await new Promise(setImmediate);
  release();
  await client.ended;
  t.same(run, ['/1', '/2']);
  t.match(await draining.result, { completed: 1, destroyed: 0 });
});

/** What the library counts. */
function sockets(server: Server): Set<Socket> {
  return (server as unknown as Record<symbol, { sockets: Set<Socket> }>)[Symbol.for('listenfds.gatekeeper')]!.sockets;
}

for (const [how, headers, expected] of [
  ['a flat array with a name twice', ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'], /Set-Cookie: a=1[^]*Set-Cookie: b=2/],
  ['pairs', [['X-A', '1']], /X-A: 1/],
  [
    'more pairs',
    [
      ['X-A', '1'],
      ['Connection', 'keep-alive'],
      ['X-B', '2'],
    ],
    /X-A: 1[^]*X-B: 2/,
  ],
] as const) {
  t.test(`headers as ${how} arrive whole while the server drains`, async (t) => {
    const server = await served(t, (_, response) => {
      response.writeHead(200, headers as never);
      response.end('answer');
    });
    const client = new Client(server);
    client.send('/');
    await client.until(/answer/);
    const draining = await begun(server);
    client.text = '';
    client.send('/');
    await client.ended;
    t.match(client.text, expected);
    t.equal(count(client.text, /connection:/gi), 1);
    t.match(client.text, /Connection: close[^]*answer/);
    t.match(await draining.result, { completed: 1 });
  });
}

t.test('a client that is answered before it has sent its body can send the rest', async (t) => {
  const server = await served(t, (request, response) => {
    if (request.method === 'GET') return response.end('idle');
    response.statusCode = 401;
    response.end('who are you?');
  });
  const client = new Client(server);
  client.send('/');
  await client.until(/idle/);
  const draining = await begun(server);
  client.socket.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n');
  await client.until(/Connection: close[^]*who are you/);
  for (let sent = 0; sent < 10; sent++) {
    t.notOk(client.socket.destroyed);
    await new Promise<unknown>((resolve) => client.socket.write(Buffer.alloc(100_000), resolve));
  }
  await client.ended;
  t.notOk(client.socket.errored, 'no ECONNRESET and no EPIPE');
  t.match(await draining.result, { completed: 1, destroyed: 0 });
});

t.test(
  'a body that ends after its answer and after the beginning of the drain leaves an idle connection',
  async (t) => {
    const server = await served(t, (_, response) => response.end('early'));
    const client = new Client(server);
    client.socket.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nhalf');
    await client.until(/early/);
    client.socket.write('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\nhalf');
    await client.until(/early[^]*early/);
    const draining = await begun(server, { grace: 200 });
    client.socket.write('rest');
    t.match(await draining.result, { closedIdle: 1, destroyed: 0 });
  },
);

t.test('a connection that is upgraded while the server drains is named in an event of its own', async (t) => {
  const server = await served(t, (_, response) => response.end('answer'));
  server.on('upgrade', (_, socket: Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n');
  });
  const client = new Client(server);
  client.send('/');
  await client.until(/answer/);
  const draining = await begun(server);
  server.on('draining', ({ sockets }: { sockets: Socket[] }) => sockets[0]!.end('bye'));
  client.socket.write('GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n');
  await client.ended;
  t.match(client.text, /101[^]*bye$/);
  t.match(await draining.result, { completed: 1, destroyed: 0 });
});

t.test('a listener of the draining event that throws makes the drain fail, at its end', async (t) => {
  const { listener, arrived, release } = held();
  const server = await served(t, listener);
  const client = new Client(server);
  client.send('/');
  await arrived;
  server.on('draining', () => {
    throw new Error('a bug');
  });
  const result = drain(server);
  result.catch(() => {});
  await once(server, 'close', { signal: AbortSignal.timeout(50) }).catch(() => {});
  release();
  await client.ended;
  t.match(client.text, /answer/);
  await t.rejects(result, { message: 'a bug' });
});

t.test('the grace is 5 s at most, whatever keepAliveTimeout says', async (t) => {
  const server = await served(t, (_, response) => response.end('answer'));
  const client = new Client(server);
  client.send('/');
  await client.until(/answer/);
  const { durationMs, closedIdle } = await drain(server);
  t.equal(closedIdle, 1);
  t.ok(durationMs < 6_000, `${durationMs} ms`);
});

t.test('connections from before anybody watched do not hold a drain up beyond its timeout', async (t) => {
  const result = await resultOf(
    t,
    `import { connect, createServer } from 'node:net';
     import { once } from 'node:events';
     import { drain } from 'listenfds';
     const server = createServer((socket) => socket.on('error', () => {}));
     await once(server.listen(0, '127.0.0.1'), 'listening');
     const client = connect(server.address().port, '127.0.0.1');
     await once(server, 'connection');
     connect(server.address().port, '127.0.0.1').on('error', () => {});
     const { durationMs } = await drain(server, { timeout: 300 });
     console.log(JSON.stringify(durationMs));
     process.exit();`,
  );
  t.ok(result >= 290 && result < 2_000, `${result} ms`);
});

t.test('a connection that is sent to a child process is not waited for, nor counted', async (t) => {
  const result = await resultOf(
    t,
    `import { spawn } from 'node:child_process';
     import { once } from 'node:events';
     import { connect, createServer } from 'node:net';
     import { drain, listen } from 'listenfds';
     const code = "process.on('message', (_, socket) => socket?.write('hello from the child'))";
     const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
     const server = createServer({ pauseOnConnect: true }, (socket) => child.send('take it', socket));
     await listen(server, { port: 0, host: '127.0.0.1', maxConnections: 2 });
     const texts = [];
     for (let i = 0; i < 5; i++) {
       const client = connect(server.address().port, '127.0.0.1').on('error', () => {});
       const [text] = await Promise.race([once(client, 'data'), once(client, 'close')]);
       texts.push(String(text));
     }
     const { moved, destroyed, durationMs } = await drain(server);
     console.log(JSON.stringify({ texts, destroyed, quick: durationMs < 3000 }));
     child.kill();
     process.exit();`,
  );
  t.same(result, { texts: Array(5).fill('hello from the child'), destroyed: 0, quick: true });
});

t.test('a drained server is freed', async (t) => {
  const freed = await resultOf(
    t,
    `import { createServer } from 'node:http';
     import { setTimeout as sleep } from 'node:timers/promises';
     import { setFlagsFromString } from 'node:v8';
     import { runInNewContext } from 'node:vm';
     import { drain, listen } from 'listenfds';
     setFlagsFromString('--expose-gc');
     const gc = runInNewContext('gc');
     const refs = [];
     for (let i = 0; i < 20; i++) {
       const server = createServer();
       await listen(server, { port: 0, host: '127.0.0.1' });
       await drain(server);
       refs.push(new WeakRef(server));
     }
     for (let i = 0; i < 5; i++) { gc(); await sleep(20); }
     console.log(refs.filter((ref) => !ref.deref()).length);`,
  );
  t.ok(freed >= 18, `${freed} of 20; the last one may still be on the stack`);
});

t.test('what is idle at a deadline that is no later than the grace is counted as idle, once', async (t) => {
  const server = await served(t, (_, response) => response.end('answer'));
  const clients = [new Client(server), new Client(server)];
  for (const client of clients) {
    client.send('/');
    await client.until(/answer/);
  }
  const { completed, closedIdle, destroyed } = await drain(server, { timeout: 1000, grace: 60_000 });
  t.strictSame({ completed, closedIdle, destroyed }, { completed: 0, closedIdle: 2, destroyed: 0 });
});
