import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activateModule, resultOf, type Activated, type Activation } from './support/activate.ts';
import { temporaryFolder } from './support/folder.ts';
import { mptcpQueue, tcpQueue, unixQueue } from './support/queues.ts';
import { without } from './support/tools.ts';

const skip = without('python3');

const prelude = `
  import fs from 'node:fs';
  import net from 'node:net';
  import { describe, internal, listen, listenFds, ListenFdsError } from 'listenfds';
  const app = (request, response) => response.end('served by ' + process.pid);
  const links = (...fds) => fds.map((fd) => fs.readlinkSync('/proc/self/fd/' + fd));
  const shown = (promise) => promise.then(
    ({ server, ...rest }) => ({ ...rest, own: server.address() }),
    ({ code, message, fd, syscall }) => ({ code, message, fd, syscall }),
  );
  const report = (value) => console.log(JSON.stringify(value));
  const done = (value) => process.stdout.write(JSON.stringify(value) + '\\n', () => process.exit());
`;

/** What listen() comes to for some arguments, in a program that ends at once. */
const outcome = (t: Test, target: string, activation?: Activation): Promise<any> =>
  resultOf(t, `${prelude} done(await shown(listen(app, ${target})));`, activation);

/** A program that goes on listening. */
const serving = (t: Test, target: string, activation?: Activation): Activated =>
  activateModule(t, `${prelude} report(await shown(listen(app, ${target})));`, activation);

/** The body of the answer. */
async function get(where: { port: number } | { socketPath: string }): Promise<string> {
  const sent = request({ ...where, host: '127.0.0.1', agent: false }).end();
  const [response] = await once(sent, 'response');
  let body = '';
  for await (const chunk of response) body += chunk;
  return body;
}

const two = { fds: ['tcp("127.0.0.1", 0, 17)', 'tcp("127.0.0.1", 0, 18)'], names: ['web', 'admin'] };

t.test('a socket is adopted by name', { skip }, async (t) => {
  const program = serving(t, "{ name: 'admin', port: 1 }", two);
  const { address, source, name, url, own } = await program.json();
  t.match(
    { source, name, url, own },
    { source: 'inherited', name: 'admin', url: `http://127.0.0.1:${address.port}/`, own: address },
  );
  t.equal(await get({ port: address.port }), `served by ${program.pid}`);
  await program.kill();
  t.equal(program.stderr, '', 'the port was only for binding: no warning');
});

t.test('or by its address', { skip }, async (t) => {
  const program = activateModule(
    t,
    `${prelude}
    const { port } = listenFds()[1].address;
    report({ port, ...(await shown(listen(app, port))) });`,
    two,
  );
  const { port, address, name } = await program.json();
  t.match({ address, name }, { address: { port }, name: 'admin' });
  t.equal(await get({ port }), `served by ${program.pid}`);
  await program.kill();
  t.equal(program.stderr, '');
});

t.test('or as the only one left', { skip }, async (t) => {
  t.match(await outcome(t, 'undefined', { fds: ['tcp()'] }), { source: 'inherited', name: 'unknown' });
  t.match(await outcome(t, '{}', { fds: ['udp()', 'tcp()'] }), { source: 'inherited' });
  const [web, rest, third] = await resultOf(
    t,
    `${prelude}
    const results = [];
    for (const target of [{ name: 'web' }, {}, { port: 0 }]) results.push(await shown(listen(app, target)));
    done(results);`,
    two,
  );
  t.match([web.name, rest.name], ['web', 'admin']);
  t.match(third, { source: 'bound', name: null }, 'all are taken: it binds');
});

t.test('without activation it binds', async (t) => {
  t.match(await outcome(t, '0'), { source: 'bound', name: null, address: { address: '::', port: Number } });
  t.match(await outcome(t, "'127.0.0.1:0'"), {
    source: 'bound',
    address: { address: '127.0.0.1' },
    url: /^http:\/\/127/,
  });
  t.match(await outcome(t, "{ port: 0, host: 'localhost' }"), { source: 'bound', url: /^http:/ });
  t.match(await outcome(t, 'undefined'), { source: 'bound', address: { port: Number } }, 'anywhere');
  t.match(await outcome(t, '0', { fds: ['udp()'] }), { source: 'bound' }, 'nor with nothing suitable');
  t.match(await outcome(t, '0', { pid: 1, count: 1 }), { source: 'bound' }, 'nor with what another process was passed');
});

t.test('addresses that are and are not the same', { skip }, async (t) => {
  const mismatches = async (asked: string, fd: string): Promise<boolean> => {
    const result = await resultOf(
      t,
      `${prelude}
      const { port } = listenFds()[0].address;
      done(await shown(listen(app, { ...${asked}, port, mismatch: 'error' })));`,
      { fds: [fd] },
    );
    t.ok(result.source === 'inherited' || result.code === 'LISTENFDS_ADDRESS_MISMATCH', JSON.stringify(result));
    return result.code !== undefined;
  };
  t.notOk(await mismatches("{ host: '0.0.0.0' }", 'tcp("::")'), 'a dual-stack wildcard serves IPv4');
  t.ok(await mismatches("{ host: '0.0.0.0' }", 'tcp("::", v6only=1)'), 'an IPv6-only one does not');
  t.ok(await mismatches("{ host: '127.0.0.1' }", 'tcp("0.0.0.0")'), 'loopback was asked for, everybody is served');
  t.notOk(await mismatches("{ host: '127.1' }", 'tcp("127.0.0.1")'), 'a host name is resolved');
});

t.test('what it refuses says what was passed', { skip }, async (t) => {
  const code = (name: string, message: RegExp) => ({ code: `LISTENFDS_${name}`, message });
  const passed =
    /\. Passed: fd 3 web tcp 127\.0\.0\.1:[0-9]+ listening, fd 4 admin tcp 127\.0\.0\.1:[0-9]+ listening\. /;
  const noName = await outcome(t, "{ name: 'nope' }", two);
  t.match(noName, code('NAME_NOT_FOUND', /^There is no inherited descriptor named 'nope'/));
  t.match(noName.message, passed);
  const ambiguous = await outcome(t, 'undefined', two);
  t.match(ambiguous, code('AMBIGUOUS', /^2 inherited descriptors would do and no address was asked for/));
  t.match(ambiguous.message, passed);
  t.match(await outcome(t, '1', two), code('AMBIGUOUS', /none is bound to 1\. Passed/));
  t.match(
    await outcome(t, "{ name: 'dns' }", { fds: ['udp()'], names: ['dns'] }),
    code('WRONG_KIND', /'dns' is a listening tcp or unix socket\. Passed: fd 3 dns udp 127/),
  );
  t.match(
    await outcome(t, "{ name: 'q' }", { fds: ['unixpacket("@lfd-q" + str(os.getpid()))'], names: ['q'] }),
    code('WRONG_KIND', /Passed: fd 3 q unixpacket @lfd-q[0-9]+ listening\./),
  );
  t.match(
    await outcome(t, "{ name: 'conn' }", { fds: ['accepted()'], names: ['conn'] }),
    code('WRONG_KIND', /Passed: fd 3 conn tcp 127.* connected\./),
  );
  t.match(
    await resultOf(
      t,
      `${prelude} await listen(app, { name: 'web' }); done(await shown(listen(app, { name: 'web' })));`,
      two,
    ),
    code('TAKEN', /^Every inherited descriptor named 'web' is taken\. Passed: fd 3 web .* listening \(taken\), fd 4/),
  );
});

t.test('activation: required', { skip }, async (t) => {
  const required = "{ port: 0, activation: 'required' }";
  t.match(await outcome(t, required, { fds: ['tcp()'] }), { source: 'inherited' });
  const inactive = {
    code: 'LISTENFDS_NOT_ACTIVATED',
    message: /^No descriptor was passed: LISTEN_FDS and LISTEN_PID are not set/,
  };
  t.match(await outcome(t, required), inactive);
  t.match(
    await outcome(t, '0', { env: { LISTENFDS: 'required' } }),
    inactive,
    'LISTENFDS= decides where the code does not',
  );
  t.match(await outcome(t, "{ port: 0, activation: 'auto' }", { env: { LISTENFDS: 'required' } }), { source: 'bound' });
  t.match(await outcome(t, required, { env: { LISTENFDS: 'never' } }), inactive);
  t.match(await outcome(t, '0', { env: { LISTENFDS: 'yes' } }), {
    code: 'LISTENFDS_BAD_ENVIRONMENT',
    message: /"yes"/,
  });
  t.match(
    await outcome(t, required, { fds: ['tcp()'], pid: 1 }),
    {
      code: 'LISTENFDS_NOT_ACTIVATED',
      message: /LISTEN_PID=1 is another process, this one is [0-9]+ \(a shell or npm/,
    },
    'the likely reason',
  );
  t.match(await outcome(t, required, { fds: ['udp()'] }), { code: 'LISTENFDS_WRONG_KIND' });
});

t.test('activation: never', { skip }, async (t) => {
  const never = { source: 'bound', address: { address: '127.0.0.1' } };
  t.match(await outcome(t, "{ address: '127.0.0.1:0', activation: 'never' }", two), never);
  t.match(await outcome(t, "'127.0.0.1:0'", { ...two, env: { LISTENFDS: 'never' } }), never);
});

t.test('a mismatch is told with everything needed to mend it', { skip }, async (t) => {
  const text = (port: number): string =>
    `The inherited socket fd 3 (FileDescriptorName 'web') is bound to 127.0.0.1:${port}, not to 127.0.0.1:1 as asked for. ` +
    'The socket unit decides the address: change ListenStream= there, or ask for the address it has, ' +
    "select it with { name }, or say mismatch: 'ignore'.";
  const web = { fds: ['tcp()'], names: ['web'] };

  const warning = serving(t, "'127.0.0.1:1'", web);
  const { address } = await warning.json();
  t.equal(await get({ port: address.port }), `served by ${warning.pid}`, 'it serves all the same');
  await warning.kill();
  const shown = `(node:${warning.pid}) [LISTENFDS_ADDRESS_MISMATCH] ListenFdsWarning: ${text(address.port)}\n`;
  t.equal(warning.stderr.slice(0, shown.length), shown);

  const [port, error, taken, found] = await resultOf(
    t,
    `${prelude}
    const [web] = listenFds();
    const error = await shown(listen(app, { address: '127.0.0.1:1', mismatch: 'error' }));
    done([web.address.port, error, web.taken, await shown(listen(app, web.address.port))]);`,
    web,
  );
  t.same(error, { code: 'LISTENFDS_ADDRESS_MISMATCH', fd: 3, message: text(port) });
  t.equal(taken, false, 'and nothing was taken');
  t.match(found, { source: 'inherited' });

  const ignoring = serving(t, "{ address: '127.0.0.1:1', mismatch: 'ignore' }", web);
  t.match(await ignoring.json(), { source: 'inherited' });
  await ignoring.kill();
  t.equal(ignoring.stderr, '');
  const unnamed = await outcome(t, "{ path: '/run/other.sock', mismatch: 'error' }", {
    fds: ['unix("@lfd-mismatch" + str(os.getpid()))'],
  });
  t.match(unnamed.message, /is bound to @lfd-mismatch[0-9]+, not to \/run\/other\.sock as asked for/);
});

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
    done(listening.map(({ server }) => server._handle.fd));`,
    { ...two, names: ['a', 'b'] },
  );
  t.same(pair, [3, 4]);
});

t.test('ReusePort= listeners of one address are served one after the other', { skip }, async (t) => {
  const sources = await resultOf(
    t,
    `${prelude}
    const { port } = listenFds()[0].address;
    const all = await Promise.all([1, 2, 3].map(() => shown(listen(app, { host: '127.0.0.1', port, reusePort: false }))));
    done([all.map(({ source, code }) => source ?? code), listenFds().map(({ taken }) => taken)]);`,
    { fds: ['tcp("127.0.0.1", 0, 9, reuseport=1)', 'tcp("127.0.0.1", port_of(3), 9, reuseport=1)', 'tcp()'] },
  );
  t.same(sources[1], [true, true, true]);
  t.same(sources[0], ['inherited', 'inherited', 'inherited'], 'the last with a warning');
});

t.test('a server that listens already is refused', async (t) => {
  const error = await resultOf(
    t,
    `${prelude}
    const server = net.createServer().listen(0, '127.0.0.1', async () => done(await shown(listen(server, 0))));`,
  );
  t.match(error, {
    code: 'LISTENFDS_ALREADY_LISTENING',
    message: /^The server listens on 127\.0\.0\.1:[0-9]+ already/,
  });
});

t.test('what cannot be an app or a target is refused before anything is taken', { skip }, async (t) => {
  const codes = await resultOf(
    t,
    `${prelude}
    const codes = [];
    for (const target of ['web', -1, 65536, 1.5, null, true, '/' + 'x'.repeat(200), { port: 1, path: '/x' }, { fd: 3 }, { name: '' },
      { activation: 'maybe' }, { mismatch: 'shout' }, { mode: 9999 }, { mode: '9' }, { user: '' }, { group: -1 }, { backlog: 0 },
      { address: '80', host: '::1' }, { address: 80 }, { path: '' }, { host: 3 }]) {
      codes.push((await shown(listen(app, target))).code);
    }
    for (const app of [null, undefined, 3, 'app', {}, { callback: 1 }]) codes.push((await shown(listen(app, 0))).code);
    done([codes, listenFds().map(({ taken }) => taken)]);`,
    two,
  );
  const [bad, address, app] = ['LISTENFDS_BAD_OPTION', 'LISTENFDS_BAD_ADDRESS', 'LISTENFDS_BAD_APP'];
  t.same(codes[0], [address, bad, bad, bad, bad, bad, address, ...Array(14).fill(bad), ...Array(6).fill(app)]);
  t.same(codes[1], [false, false]);
});

t.test('a name that does not resolve', { skip }, async (t) => {
  t.match(await outcome(t, "{ host: 'no.such.host.invalid', port: 0 }"), { code: /^E(NOTFOUND|AI_AGAIN)$/ });
  t.match(await outcome(t, "{ host: 'no.such.host.invalid', port: 1, mismatch: 'error' }", { fds: ['tcp()'] }), {
    code: 'LISTENFDS_ADDRESS_MISMATCH',
    message: /not to no\.such\.host\.invalid:1 as asked for/,
  });
});
