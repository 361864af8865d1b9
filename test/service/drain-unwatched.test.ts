// drain() of a server that was opened by its own listen(): the connections there are by then are found.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, Agent, get, type IncomingMessage } from 'node:http';
import { connect as connectHttp2, createSecureServer, createServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import { drain, type DrainingEvent, type DrainResult } from 'listenfds';
import { makeCertificate } from '../support/certificate.ts';
import { temporaryFolder } from '../support/folder.ts';

async function opened<S extends Server>(t: Test, server: S): Promise<{ server: S; port: number }> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

/** A connection, once the server has it. */
async function connected<S extends Socket>(t: Test, server: Server, event: string, socket: S): Promise<S> {
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  await once(server, event);
  return socket;
}

async function draining(server: Server, options: { timeout: number; grace?: number }) {
  let named: readonly Socket[] = [];
  server.once('draining', ({ sockets }: DrainingEvent) => (named = sockets));
  const { durationMs: _, ...result } = await drain(server, options);
  return { named: named.length, ...result } as Omit<DrainResult, 'durationMs'> & { named: number };
}

const { key, cert } = makeCertificate(temporaryFolder(t));
const tls = { key: readFileSync(key), cert: readFileSync(cert), rejectUnauthorized: false };

t.test('a request in flight is answered with Connection: close', async (t) => {
  const server = createHttpServer((_, response) => server.once('draining', () => response.end('answer')));
  const { port } = await opened(t, server);
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  const answered = once(get({ host: '127.0.0.1', port, agent }), 'response') as Promise<[IncomingMessage]>;
  await once(server, 'request');
  const drained = draining(server, { timeout: 10_000, grace: 60_000 });
  const [response] = await answered;
  t.equal(response.headers.connection, 'close');
  t.equal(await text(response), 'answer');
  t.match(await drained, { completed: 1, closedIdle: 0, destroyed: 0 });
});

t.test('an idle connection is closed after its grace, over TLS as well', async (t) => {
  for (const secure of [false, true]) {
    const { server, port } = await opened(t, secure ? createHttpsServer(tls) : createHttpServer());
    const client = secure ? connectTls({ ...tls, port }) : connect(port);
    await connected(t, server, secure ? 'secureConnection' : 'connection', client);
    t.match(await draining(server, { timeout: 10_000, grace: 50 }), { completed: 0, closedIdle: 1, destroyed: 0 });
  }
});

t.test('a connection that begins its TLS handshake while the server drains is answered', async (t) => {
  const server = createHttpsServer(tls, (_, response) => response.end('answer'));
  const { port } = await opened(t, server);
  const client = await connected(t, server, 'connection', connect(port));
  const drained = draining(server, { timeout: 10_000, grace: 5_000 });
  await once(server, 'draining');
  const secure = connectTls({ ...tls, socket: client });
  secure.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n');
  t.match(await text(secure), /^HTTP\/1.1 200 OK[^]*answer$/);
  t.match(await drained, { completed: 1, closedIdle: 0, destroyed: 0 });
});

t.test('an HTTP/2 session gets its GOAWAY', async (t) => {
  const { server, port } = await opened(t, createHttp2Server());
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  await once(session, 'remoteSettings');
  const goaway = once(session, 'goaway');
  t.match(await draining(server, { timeout: 10_000, grace: 5_000 }), { completed: 1, destroyed: 0 });
  await goaway;
});

t.test('over TLS it gets one where Node has a list of its sessions, and is cut and counted elsewhere', async (t) => {
  const { server, port } = await opened(t, createSecureServer(tls));
  const session = connectHttp2(`https://127.0.0.1:${port}`, tls);
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  const listed = Object.getOwnPropertySymbols(server).some(({ description }) => description === 'sessions');
  const found = await draining(server, { timeout: 500, grace: 100 });
  t.match(found, listed ? { completed: 1, destroyed: 0 } : { completed: 0, destroyed: 1 }, JSON.stringify(found));
});

t.test('what only the program can end is named: connections without HTTP, and those that have left it', async (t) => {
  const plain = await opened(t, createServer());
  await connected(t, plain.server, 'connection', connect(plain.port));
  t.match(await draining(plain.server, { timeout: 50 }), { named: 1, destroyed: 1 });

  const secure = await opened(t, createTlsServer(tls));
  await connected(t, secure.server, 'secureConnection', connectTls({ ...tls, port: secure.port }));
  t.match(await draining(secure.server, { timeout: 50 }), { named: 1, destroyed: 1 });

  const web = await opened(t, createHttpServer());
  web.server.on('upgrade', (_, socket: Socket) => socket.on('error', () => {}));
  const client = connect(web.port);
  client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await connected(t, web.server, 'upgrade', client);
  t.match(await draining(web.server, { timeout: 50, grace: 10 }), { named: 1, destroyed: 1, closedIdle: 0 });
});

t.test('a connection that had closed before it was seen holds up no drain', async (t) => {
  const { server, port } = await opened(t, createServer());
  const client = connect(port);
  t.teardown(() => client.destroy());
  const [accepted] = (await once(server, 'connection')) as [Socket];
  accepted.destroy();
  await once(accepted, 'close');
  server.once('draining', () => server.emit('connection', accepted));
  t.match(await draining(server, { timeout: 1000 }), { completed: 0, destroyed: 0 });
});
