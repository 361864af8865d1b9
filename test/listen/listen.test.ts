// Which socket listen() takes, and what it refuses.
import { listen, serve } from 'listenfds';
import {
  listenDatagram,
  listenFifo,
  listenMessageQueue,
  listenNetlink,
  listenSequentialPacket,
  listenSpecial,
} from 'listenfds/sockets';
import t from 'tap';
import { activateModule, resultOf } from '../support/activate.ts';
import { get } from '../support/http.js';
import { outcome, prelude, serving, two } from '../support/listening.ts';
import { without } from '../support/tools.ts';

const skip = without('python3');

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

t.test('an inherited socket is found by its address', { skip }, async (t) => {
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

t.test('an inherited socket is taken when it is the only one left', { skip }, async (t) => {
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
    /\. Passed: fd 3 web inet stream 127\.0\.0\.1:[0-9]+ listening, fd 4 admin inet stream 127\.0\.0\.1:[0-9]+ listening\. /;
  const noName = await outcome(t, "{ name: 'nope' }", two);
  t.match(noName, code('NAME_NOT_FOUND', /^There is no inherited descriptor named 'nope'/));
  t.match(noName.message, passed);
  const ambiguous = await outcome(t, 'undefined', two);
  t.match(ambiguous, code('AMBIGUOUS', /^2 inherited descriptors would do and no address was asked for/));
  t.match(ambiguous.message, passed);
  t.match(await outcome(t, '1', two), code('AMBIGUOUS', /none is bound to 1\. Passed/));
  t.match(
    await outcome(t, "{ name: 'dns' }", { fds: ['udp()'], names: ['dns'] }),
    code('WRONG_KIND', /'dns' is a listening stream socket\. Passed: fd 3 dns inet dgram 127/),
  );
  t.match(
    await outcome(t, "{ name: 'q' }", { fds: ['unix_seqpacket("@lfd-q" + str(os.getpid()))'], names: ['q'] }),
    code('WRONG_KIND', /Passed: fd 3 q unix seqpacket @lfd-q[0-9]+ listening\./),
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

t.test('activation: required refuses to bind', { skip }, async (t) => {
  const required = "{ port: 0, activation: 'required' }";
  t.match(await outcome(t, required, { fds: ['tcp()'] }), { source: 'inherited' });
  const inactive = {
    code: 'LISTENFDS_NOT_ACTIVATED',
    message: /^No descriptor was passed to this process: LISTEN_FDS and LISTEN_PID are not set/,
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
      message: /LISTEN_PID=1 names another process, .*, and not this one \(pid [0-9]+\)/,
    },
    'the likely reason',
  );
  t.match(await outcome(t, required, { fds: ['udp()'] }), { code: 'LISTENFDS_WRONG_KIND' });
});

t.test('activation: never binds, whatever was passed', { skip }, async (t) => {
  const never = { source: 'bound', address: { address: '127.0.0.1' } };
  t.match(await outcome(t, "{ address: '127.0.0.1:0', activation: 'never' }", two), never);
  t.match(await outcome(t, "'127.0.0.1:0'", { ...two, env: { LISTENFDS: 'never' } }), never);
});

t.test('a mismatch is told with everything needed to mend it', { skip }, async (t) => {
  const text = (port: number): string =>
    `The inherited fd 3 (FileDescriptorName 'web', inet stream) is bound to 127.0.0.1:${port}, not to 127.0.0.1:1 as asked for. ` +
    'The socket unit decides the address: change ListenStream= there, or ask for the address it has, ' +
    "select it with { name }, or set mismatch: 'ignore'. (docs/errors.md#listenfds_address_mismatch)";
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
    for (const target of ['web', -1, 65536, 1.5, null, true, '/' + 'x'.repeat(200), { port: 1, path: '/x' }, { fd: '3' }, { name: '' },
      { activation: 'maybe' }, { mismatch: 'shout' }, { mode: 9999 }, { mode: '9' }, { user: '' }, { group: -1 }, { backlog: 0 },
      { address: '80', host: '::1' }, { address: 80 }, { path: '' }, { host: 3 }, { port: 0, hots: '::1' }]) {
      codes.push((await shown(listen(app, target))).code);
    }
    for (const app of [null, undefined, 3, 'app', {}, { callback: 1 }]) codes.push((await shown(listen(app, 0))).code);
    done([codes, listenFds().map(({ taken }) => taken)]);`,
    two,
  );
  const [bad, address, app] = ['LISTENFDS_BAD_OPTION', 'LISTENFDS_BAD_ADDRESS', 'LISTENFDS_BAD_APP'];
  t.same(codes[0], [address, bad, bad, bad, bad, bad, address, ...Array(15).fill(bad), ...Array(6).fill(app)]);
  t.same(codes[1], [false, false]);
});

t.test(
  'further arguments of app.listen() are refused: a host that is not heard would open every address',
  async (t) => {
    const more = listen as (...args: unknown[]) => Promise<unknown>;
    for (const args of [['127.0.0.1'], ['127.0.0.1', 511], [() => {}]]) {
      await t.rejects(
        more(() => {}, 0, ...args),
        {
          code: 'LISTENFDS_BAD_OPTION',
          message: /takes one target and no further arguments: write \{ port, host, backlog \}/,
        },
      );
    }
    await t.rejects(
      (serve as typeof more)(
        () => {},
        0,
        () => {},
      ),
      { code: 'LISTENFDS_BAD_OPTION' },
    );
  },
);

t.test('an option that no verb knows is named', async (t) => {
  const verbs = {
    listen: [() => {}],
    listenDatagram,
    listenFifo,
    listenMessageQueue,
    listenNetlink,
    listenSequentialPacket,
    listenSpecial,
  };
  for (const [name, verb] of Object.entries(verbs)) {
    const target = { address: name === 'listenNetlink' ? 'route' : '/nowhere', reusePorts: true };
    const opened =
      typeof verb === 'function' ? (verb as (target: unknown) => Promise<unknown>)(target) : listen(verb[0]!, target);
    await t.rejects(opened, { code: 'LISTENFDS_BAD_OPTION', message: /no option reusePorts: / }, name);
  }
});

t.test('a name that does not resolve', { skip }, async (t) => {
  t.match(await outcome(t, "{ host: 'no.such.host.invalid', port: 0 }"), { code: /^E(NOTFOUND|AI_AGAIN)$/ });
  t.match(await outcome(t, "{ host: 'no.such.host.invalid', port: 1, mismatch: 'error' }", { fds: ['tcp()'] }), {
    code: 'LISTENFDS_ADDRESS_MISMATCH',
    message: /not to no\.such\.host\.invalid:1 as asked for/,
  });
});
