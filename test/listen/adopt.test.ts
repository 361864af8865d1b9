// What becomes of a socket that listen() adopts.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { activateModule, resultOf } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { outcome, prelude, two } from '../support/listening.ts';
import { mptcpQueue, tcpQueue, unixQueue } from '../support/queues.ts';
import { without } from '../support/tools.ts';

const skip = without('python3');

t.test("the manager's backlog stays as it is", { skip: without('python3', 'ss') }, async (t) => {
  const path = join(temporaryFolder(t), 's');
  const names = ['tcp', 'mptcp', 'unix', 'abstract'];
  const program = activateModule(
    t,
    `${prelude}
    report(listenFds());
    await new Promise((resolve) => net.createServer(resolve).listen('${path}.go'));
    for (const name of ${JSON.stringify(names)}) await listen(app, { name, backlog: 33 });
    report('listening');`,
    {
      fds: ['tcp("127.0.0.1", 0, 17)', 'mptcp("127.0.0.1", 0, 1000)', `unix("${path}", 4000)`, `unix("@${path}", 1)`],
      names,
    },
  );
  const [tcp, mptcp] = await program.json();
  const queues = (): unknown => [
    tcpQueue(tcp.address.port),
    mptcpQueue(mptcp.address.port),
    unixQueue(path),
    unixQueue(`@${path}`),
  ];
  const before = queues();
  t.match(before, [{ backlog: 17 }, { backlog: 1000 }, { backlog: 4000 }, { backlog: 1 }]);
  await once(connect(`${path}.go`), 'connect');
  t.equal(await program.json(), 'listening');
  t.same(queues(), before);
  t.equal(await get({ port: tcp.address.port }), `served by ${program.pid}`);
  t.equal(await get({ port: mptcp.address.port }), `served by ${program.pid}`);
  t.equal(await get({ socketPath: path }), `served by ${program.pid}`);
  // net.connect() of Node 20 pads an abstract name with NULs, and so never finds one that somebody else bound.
  const client = `import socket; s = socket.socket(socket.AF_UNIX); s.connect("\\0${path}"); s.send(b"GET / HTTP/1.0\\r\\n\\r\\n"); print(s.makefile().read())`;
  t.match(spawnSync('python3', ['-c', client], { encoding: 'utf8' }).stdout, `served by ${program.pid}`);
});

t.test('a unix server knows its path while it listens', { skip }, async (t) => {
  const path = join(temporaryFolder(t), 's');
  const result = await resultOf(
    t,
    `${prelude}
    const results = [];
    for (const name of ['path', 'abstract']) {
      const { server, address, url } = await listen(app, { name });
      const before = server.address();
      await new Promise((resolve) => server.close(resolve));
      results.push({ address, url, before, after: server.address(), exists: fs.existsSync(${JSON.stringify(path)}) });
    }
    done(results);`,
    { fds: [`unix("${path}")`, `unix("@${path}")`], names: ['path', 'abstract'] },
  );
  t.match(result, [
    { address: path, url: null, before: path, after: null, exists: true },
    { address: `\0${path}`, url: null, before: `\0${path}`, after: null },
  ]);
});

t.test('a unix socket is found by the path it has been moved to, or a link to that', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  symlinkSync('moved', join(folder, 'link'));
  for (const name of ['moved', 'link']) {
    const path = join(folder, name);
    const result = await outcome(t, `{ path: '${path}', mismatch: 'error' }`, {
      fds: [`moved(unix("${folder}/${name}-first"), "${folder}/moved")`, 'tcp()'],
    });
    t.match(result, { source: 'inherited', address: path, own: path });
  }
  const none = await outcome(t, `'${folder}/elsewhere'`, {
    fds: [`moved(unix("${folder}/a"), "${folder}/b")`, 'tcp()'],
  });
  t.match(none, { code: 'LISTENFDS_AMBIGUOUS' });
});

t.test('the successor of a program that bound its path itself adopts it under that path', async (t) => {
  const path = join(temporaryFolder(t), 'app.sock');
  const successor = `${prelude} report(await shown(listen(app, { path: '${path}', mismatch: 'error' })));`;
  const program = activateModule(
    t,
    `${prelude}
    import { spawn } from 'node:child_process';
    const { server } = await listen(app, '${path}');
    const shell = 'LISTEN_FDS=2 LISTEN_PID=$$ exec "$@"';
    const other = net.createServer().listen(0);
    spawn('sh', ['-c', shell, 'sh', process.execPath, '--input-type=module', '--eval', ${JSON.stringify(successor)}], {
      stdio: ['ignore', 'inherit', 'inherit', server._handle.fd, other._handle.fd],
    });`,
  );
  const adopted = await program.json();
  t.match(adopted, { source: 'inherited', address: path, own: path });
});

t.test('a descriptor goes back when the server fails to start', { skip }, async (t) => {
  const [error, taken, again, own] = await resultOf(
    t,
    `${prelude}
    const { createServer } = await import('node:http');
    const [web] = listenFds();
    const failing = createServer(app);
    failing.listen = () => { throw Object.assign(new Error('not today'), { code: 'NOT_TODAY' }); };
    const error = await shown(listen(failing, { name: 'web' }));
    const taken = web.taken;
    const { source, server } = await listen(createServer(app), { name: 'web' });
    done([error, taken, source, server.address()]);`,
    { fds: ['tcp()'], names: ['web'] },
  );
  t.match(error, { code: 'NOT_TODAY' });
  t.equal(taken, false);
  t.equal(again, 'inherited');
  t.match(own, { address: '127.0.0.1' });
});

t.test('two calls at once never take the same one', { skip }, async (t) => {
  const results = await resultOf(
    t,
    `${prelude}
    const { port } = listenFds()[0].address;
    // A host name makes them wait between looking and taking.
    const target = { host: '127.1', port };
    done(await Promise.all([1, 2, 3].map(() => shown(listen(app, target)))));`,
    { fds: ['tcp()'] },
  );
  t.match(results.map(({ source, code }: Record<string, string>) => source ?? code).sort(), [
    'EADDRINUSE',
    'EADDRINUSE',
    'inherited',
  ]);
  const pair = await resultOf(
    t,
    `${prelude}
    const listening = await Promise.all(['a', 'b'].map((name) => listen(app, { name, host: '127.1', port: 1 })));
    // What is lent is a duplicate: the same socket under another number.
    const { readlinkSync } = await import('node:fs');
    const link = (fd) => readlinkSync('/proc/self/fd/' + fd);
    done(listening.map(({ server }) => [3, 4].find((fd) => link(fd) === link(server._handle.fd))));`,
    { ...two, names: ['a', 'b'] },
  );
  t.same(pair, [3, 4]);
});

t.test('ReusePort= listeners of one address are taken together, also by calls at once', { skip }, async (t) => {
  const sources = await resultOf(
    t,
    `${prelude}
    const { port } = listenFds()[0].address;
    const all = await Promise.all([1, 2].map(() => shown(listen(app, { host: '127.0.0.1', port, reusePort: false }))));
    done([all.map(({ source, code }) => source ?? code), listenFds().map(({ taken }) => taken)]);`,
    { fds: ['tcp("127.0.0.1", 0, 9, reuseport=1)', 'tcp("127.0.0.1", port_of(3), 9, reuseport=1)', 'tcp()'] },
  );
  t.same(sources[1], [true, true, true]);
  t.same(sources[0], ['inherited', 'inherited'], 'the last with a warning');
});
