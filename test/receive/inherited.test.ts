import { join } from 'node:path';
import t from 'tap';
import { activate, insides, resultOf } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { copyPackage } from '../support/package.ts';
import { without } from '../support/tools.ts';

const skip = without('python3');

/** Imports, and an attempt that reports its error. */
const prelude = `
  import fs from 'node:fs';
  import { describe, ListenFdsError, listenFds } from 'listenfds';
  import * as insides from ${JSON.stringify(insides)};
  const variables = () => Object.keys(process.env).filter((name) => name.startsWith('LISTEN'));
  const links = (...fds) => fds.map((fd) => fs.readlinkSync('/proc/self/fd/' + fd));
  function attempt(call) {
    try {
      return call();
    } catch (error) {
      const { code, fd, variable, message, cause } = error;
      return { ours: error instanceof ListenFdsError, code, fd, variable, message, cause: cause?.code };
    }
  }
  const report = (value) => console.log(JSON.stringify(value));
`;

t.test('what was passed, in its order, with its names', { skip }, async (t) => {
  const { passed, again, left, cloexec } = await resultOf(
    t,
    `${prelude}
    const passed = listenFds();
    const again = listenFds() === passed && Object.isFrozen(passed);
    report({ passed, again, left: variables(), cloexec: passed.map(({ fd }) => describe(fd).cloexec) });`,
    { fds: ['tcp("127.0.0.1", 0, 17)', 'udp()', 'connected()', 'accepted()'], names: ['web', '', 'stored', 'web'] },
  );
  t.match(passed, [
    {
      fd: 3,
      name: 'web',
      origin: 'manager',
      kind: 'socket',
      family: 'inet',
      type: 'stream',
      listening: true,
      connected: false,
      backlog: 17,
      taken: false,
    },
    {
      fd: 4,
      name: '',
      kind: 'socket',
      family: 'inet',
      type: 'dgram',
      listening: false,
      connected: false,
      backlog: null,
    },
    { fd: 5, name: 'stored', origin: 'store', family: 'unix', type: 'stream', listening: false, connected: true },
    {
      fd: 6,
      name: 'web',
      kind: 'socket',
      type: 'stream',
      listening: false,
      connected: true,
      peer: { address: '127.0.0.1' },
    },
  ]);
  t.ok(again, 'every later call returns the same list');
  t.same(left, [], 'the variables are gone');
  t.same(cloexec, [true, true, true, true]);
});

t.test('without LISTEN_FDNAMES all are unknown, as in C', { skip }, async (t) => {
  const passed = await resultOf(t, `${prelude} report(listenFds())`, { fds: ['tcp()', 'tcp()'] });
  t.match(passed, [{ name: 'unknown' }, { name: 'unknown' }]);
});

t.test('each descriptor is handed out once', { skip }, async (t) => {
  const { first, shown, second, other } = await resultOf(
    t,
    `${prelude}
    const [web, admin] = listenFds();
    report({ first: web.take(), shown: String(web), second: attempt(() => web.take()), other: [web.taken, admin.taken] });`,
    { fds: ['unix("@lfd-once-" + str(os.getpid()))', 'tcp()'], names: ['web', 'admin'] },
  );
  t.equal(first, 3);
  t.match(shown, /^fd 3 web unix stream @lfd-once-[0-9]+ listening$/);
  t.match(second, {
    ours: true,
    code: 'LISTENFDS_TAKEN',
    fd: 3,
    message: /^fd 3 web unix stream @lfd-once.* was already taken/,
  });
  t.same(other, [true, false]);
});

t.test('nothing was passed', async (t) => {
  const source = `${prelude} report([listenFds(), variables()])`;
  t.same(await resultOf(t, source), [[], []], 'no variables');
  t.same(await resultOf(t, source, { pid: 1, count: 1 }), [[], []], 'those of another process are removed');
  t.same(await resultOf(t, source, { env: { LISTEN_FDNAMES: 'web' } }), [[], []], 'names of nothing');
});

t.test('1,000 descriptors are received', { skip }, async (t) => {
  const count = 1000;
  const names = Array.from({ length: count }, (_, i) => `n${i}`);
  const result = await resultOf(
    t,
    `${prelude}
    // Node has set FD_CLOEXEC itself; where it has not, the library does.
    for (let fd = 3; fd < ${3 + count}; fd++) insides.binding().setCloexec(fd, false);
    const passed = listenFds();
    report({
      names: passed.map(({ name }) => name),
      fds: passed.every(({ fd, kind }, i) => fd === 3 + i && kind === 'special'),
      cloexec: passed.every(({ fd }) => describe(fd).cloexec),
    });`,
    { fds: names.map(() => 'special("/dev/null")'), names },
  );
  t.same(result, { names, fds: true, cloexec: true });
});

t.test('more passed than announced: the rest is left alone', { skip }, async (t) => {
  const [passed, cloexec] = await resultOf(
    t,
    `${prelude}
    for (const fd of [3, 4]) insides.binding().setCloexec(fd, false);
    report([listenFds(), [describe(3).cloexec, describe(4).cloexec]]);`,
    { fds: ['tcp()', 'tcp()'], count: 1 },
  );
  t.match(passed, [{ fd: 3 }]);
  t.equal(passed.length, 1);
  t.same(cloexec, [true, false]);
});

t.test('an error leaves every descriptor as it was, and is remembered', { skip }, async (t) => {
  const failing = (spoil: string, fds: string): string => `${prelude}
    ${spoil}
    const fds = [${fds}];
    for (const fd of fds) insides.binding().setCloexec(fd, false);
    const before = links(...fds);
    const errors = [1, 2].map(() => {
      try { listenFds(); } catch (error) { return error; }
    });
    report({
      error: attempt(listenFds),
      remembered: errors[0] === errors[1],
      unchanged: JSON.stringify(before) === JSON.stringify(links(...fds)),
      cloexec: fds.some((fd) => describe(fd).cloexec),
      left: variables(),
    });`;
  const untouched = { remembered: true, unchanged: true, cloexec: false, left: [] };

  t.match(
    await resultOf(t, failing('fs.closeSync(4);', '3, 5'), { fds: ['tcp()', 'tcp()', 'tcp()'], names: 'a:b:c' }),
    {
      ...untouched,
      error: {
        ours: true,
        code: 'LISTENFDS_NOT_OPEN',
        fd: 4,
        cause: 'EBADF',
        message: /^fd 4 \('b'\), number 2 of the 3 that LISTEN_FDS announces, is not open; no descriptor was touched/,
      },
    },
    'one was closed',
  );
  t.match(
    await resultOf(t, failing('', '3, 5'), { fds: ['tcp()', null, 'tcp()'] }),
    { ...untouched, error: { code: 'LISTENFDS_NOT_INHERITED', fd: 4, message: /eventpoll/ } },
    'a gap, where the runtime now has something of its own',
  );
  t.match(
    await resultOf(t, failing('', '3, 4'), { fds: ['tcp()', 'tcp()'], count: 3 }),
    { ...untouched, error: { code: 'LISTENFDS_NOT_INHERITED', fd: 5 } },
    'fewer passed than announced',
  );
  t.match(
    await resultOf(t, failing('', '3'), { fds: ['tcp()'], count: 2147483644 }),
    { ...untouched, error: { code: 'LISTENFDS_NOT_INHERITED', fd: 4 } },
    'far fewer',
  );
  t.match(
    await resultOf(t, failing('', '3'), { fds: ['tcp()'], count: '1x' }),
    { ...untouched, error: { code: 'LISTENFDS_BAD_ENVIRONMENT', variable: 'LISTEN_FDS', message: /"1x"/ } },
    'a malformed count',
  );
  t.match(
    await resultOf(t, failing('', '3, 4'), { fds: ['tcp()', 'tcp()'], names: 'web' }),
    { ...untouched, error: { code: 'LISTENFDS_BAD_ENVIRONMENT', variable: 'LISTEN_FDNAMES' } },
    'a name too few',
  );
});

t.test("stale variables never make the runtime's own descriptors inherited ones", async (t) => {
  for (const count of [1, 2, 8, 40]) {
    const [error, link] = await resultOf(t, `${prelude} report([attempt(listenFds), links(3)])`, { count });
    t.same(link, ['anon_inode:[eventpoll]']);
    t.match(error, { ours: true, code: 'LISTENFDS_NOT_INHERITED', fd: 3 });
    t.match(error.message, /^fd 3 \('unknown'\).* is the runtime's own anon_inode:\[eventpoll\], not an inherited/);
  }
});

t.test("nor Node's IPC channel, which is on fd 3 of a forked child", async (t) => {
  const error = await resultOf(
    t,
    `${prelude}
    import { spawn } from 'node:child_process';
    const shell = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"';
    const source = ${JSON.stringify(`${prelude} process.send(attempt(listenFds), () => process.disconnect());`)};
    const child = spawn('sh', ['-c', shell, 'sh', process.execPath, '--input-type=module', '--eval', source], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    child.once('message', report);`,
  );
  t.match(error, { ours: true, code: 'LISTENFDS_NOT_INHERITED', fd: 3, message: /is Node's IPC channel/ });
});

t.test(
  "what was meant for a parent is taken with pid: 'parent'",
  { skip: without('python3', 'timeout') },
  async (t) => {
    const source = `${prelude}
    report([listenFds(), variables(), listenFds({ pid: 'parent' }), listenFds()]);`;
    for (const through of [
      ['timeout', '60'],
      ['sh', '-c', '"$@"; exit $?', 'sh'],
    ]) {
      const [self, left, parent, later] = await resultOf(t, source, { fds: ['tcp()'], names: ['web'], through });
      t.same(self, [], `${through[0]}: not meant for us`);
      t.same(left, [], 'the variables are gone all the same, as in C');
      t.match(parent, [{ fd: 3, name: 'web', family: 'inet', type: 'stream' }], 'but what they said is remembered');
      t.same(later, parent, 'and from then on that is the list');
    }
  },
);

t.test("pid: 'any' takes what was meant for anybody", { skip }, async (t) => {
  const source = `${prelude} report([listenFds({ pid: 'parent' }), listenFds({ pid: 'any' }), listenFds()])`;
  const [parent, any, later] = await resultOf(t, source, { fds: ['tcp()'], pid: 1 });
  t.same(parent, []);
  t.match(any, [{ fd: 3 }]);
  t.same(later, any);
  const source2 = `${prelude} report(listenFds({ pid: 'any' }))`;
  t.match(await resultOf(t, source2, { fds: ['tcp()'], pid: 'x' }), [{ fd: 3 }], 'even for nonsense');
});

t.test('options that cannot be used', async (t) => {
  const [error, left] = await resultOf(
    t,
    `${prelude} report([['me', 1, 3n, null].map((pid) => attempt(() => listenFds({ pid }))), variables()])`,
    { count: 1 },
  );
  for (const one of error)
    t.match(one, { ours: true, code: 'LISTENFDS_BAD_OPTION', message: /^pid is .*, but must be 'self'/ });
  t.same(left.sort(), ['LISTEN_FDS', 'LISTEN_PID'], 'nothing was consumed');
});

t.test('two copies of the package in one process share what was passed', { skip }, async (t) => {
  const copy = join(temporaryFolder(t), 'listenfds');
  copyPackage(copy);
  const result = await resultOf(
    t,
    `${prelude}
    const copy = await import(${JSON.stringify(join(copy, 'dist/index.js'))});
    const [web] = listenFds();
    const [same] = copy.listenFds();
    web.take();
    report({
      apart: copy.listenFds !== listenFds,
      same: web === same,
      error: attempt(() => same.take()),
      listen: await copy.listen(() => {}, { activation: 'required' }).catch(({ code }) => code),
    });`,
    { fds: ['tcp()'] },
  );
  t.match(result, {
    apart: true,
    same: true,
    error: { ours: true, code: 'LISTENFDS_TAKEN' },
    listen: 'LISTENFDS_NOT_ACTIVATED',
  });
});

t.test('worker threads are refused and take nothing away', { skip }, async (t) => {
  const source = `${prelude}
    import { once } from 'node:events';
    import { SHARE_ENV, Worker } from 'node:worker_threads';
    const work = ${JSON.stringify(`
      import { parentPort } from 'node:worker_threads';
      import('listenfds').then(({ listenFds, listen }) => {
        let refused;
        try { listenFds(); } catch (error) { refused = error.code; }
        return listen(() => {}, { port: 0, host: '127.0.0.1' }).then(
          ({ server, source }) => { server.close(); return [refused, source]; },
          (error) => [refused, error.code],
        );
      }).then((result) => parentPort.postMessage(result));
    `)};
    const ask = async (env) => (await once(new Worker(work, { eval: true, env }), 'message'))[0];
    const workers = [await ask(process.env), await ask(SHARE_ENV)];
    const left = variables();
    report({ workers, left, passed: listenFds(), later: await ask(process.env) });`;
  const activated = await resultOf(t, source, { fds: ['tcp()'] });
  const refused = 'LISTENFDS_WORKER_THREAD';
  t.same(activated.workers, [
    [refused, refused],
    [refused, refused],
  ]);
  t.same(activated.left.sort(), ['LISTEN_FDS', 'LISTEN_PID']);
  t.match(activated.passed, [{ fd: 3 }]);
  t.same(activated.later, [refused, 'bound'], 'once the main thread has them, a worker may bind its own');
  const plain = await resultOf(t, source);
  t.same(plain.workers[0], [refused, 'bound'], 'without activation it may bind');
});

t.test('no environment is half consumed', { skip }, async (t) => {
  const result = await resultOf(
    t,
    `${prelude}
    import fc from 'fast-check';
    const { listenVariables } = insides;
    const number = fc.constantFrom('1', '2', '3', '5', '0', 'x', '', ' 1', String(process.pid));
    const environment = fc.record(
      { LISTEN_PID: fc.oneof(fc.constant(String(process.pid)), number), LISTEN_PIDFDID: number, LISTEN_FDS: number,
        LISTEN_FDNAMES: fc.constantFrom('', 'a', 'a:b', 'a:b:c', '\\\\'), LISTEN: number },
      { requiredKeys: [] },
    );
    const seen = {};
    fc.assert(
      fc.property(environment, fc.constantFrom('self', 'parent', 'any'), (generated, pid) => {
        const env = { ...generated };
        const before = links(3, 4, 5);
        let outcome;
        try {
          outcome = listenFds({ env, pid }).length;
        } catch (error) {
          if (!(error instanceof ListenFdsError)) throw error;
          outcome = error.code;
        }
        seen[outcome] = (seen[outcome] ?? 0) + 1;
        const gone = listenVariables.every((name) => !(name in env));
        return gone && env.LISTEN === generated.LISTEN && before.join() === links(3, 4, 5).join();
      }),
      { numRuns: 1000 },
    );
    report(seen);`,
    { fds: ['tcp()', 'udp()', 'connected()'], count: null },
  );
  t.match(result, { 0: Number, 1: Number, 2: Number, 3: Number, LISTENFDS_BAD_ENVIRONMENT: Number });
  t.match(result, { LISTENFDS_NOT_INHERITED: Number }, 'five announced, three passed');
});

t.test('nothing leaks into a child, whatever way it is started', { skip }, async (t) => {
  const program = activate(t, [process.execPath, 'test/fixtures/children.js'], {
    fds: ['tcp()', 'unix("@lfd-leak-" + str(os.getpid()))', 'udp()'],
    names: ['a', 'b', 'c'],
  });
  const { passed, results } = await program.json();
  t.match(passed, [/^socket:/, /^socket:/, /^socket:/]);
  t.equal(results.length, 10);
  for (const { way, sockets, variables } of results)
    t.same({ sockets, variables }, { sockets: [], variables: [] }, way);

  const execve = 'execve' in process ? false : 'process.execve() came with Node 22.15';
  await t.test('the program that process.execve starts is given neither', { skip: execve }, async (t) => {
    const { sockets, variables } = await program.json();
    t.same([sockets.filter((socket: string) => passed.includes(socket)), variables], [[], []]);
  });
});

t.test('console.log() shows what a descriptor is', async (t) => {
  const source = `
    import { inspect } from 'node:util';
        import { listenFds } from 'listenfds';
    const [web] = listenFds();
    console.log(JSON.stringify([inspect(web), inspect({ web }), JSON.parse(JSON.stringify(web))]));`;
  const [alone, within, json] = await resultOf(t, source, { fds: ['tcp()'], names: ['web'] });
  t.match(alone, /^InheritedFd \{[^]*\bfd: 3\b[^]*name: 'web'[^]*type: 'stream'/);
  t.match(within, /web: InheritedFd \{/);
  t.match(json, { fd: 3, name: 'web', type: 'stream', listening: true });
});
