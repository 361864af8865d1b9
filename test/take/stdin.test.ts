// StandardInput=socket: the socket is descriptor 0, and there is no LISTEN_* variable at all. systemd.exec(5)
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { activate, activateModule, resultOf, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { tcpQueue } from '../support/queues.ts';
import { without } from '../support/tools.ts';

const skip = without('python3');

const prelude = `
  import fs from 'node:fs';
    import { describe, listen, listenFds } from 'listenfds';
  const link = (fd) => fs.readlinkSync('/proc/self/fd/' + fd);
  const app = (socket) => socket.end('served by ' + process.pid);
  const { createServer } = await import('node:net');
  const report = (value) => console.log(JSON.stringify(value));
  const done = (value) => process.stdout.write(JSON.stringify(value) + '\\n', () => process.exit());
`;

async function answer(to: { port: number; host: string } | { path: string }): Promise<string> {
  const socket = connect(to as { path: string }).setEncoding('utf8');
  const [text] = await once(socket, 'data');
  socket.destroy();
  return text as string;
}

t.test('a listening socket on stdin is adopted', { skip: without('python3', 'ss') }, async (t) => {
  const program = activateModule(
    t,
    `${prelude}
    const before = link(0);
    const { server, source, name, address } = await listen(createServer(app), { activation: 'required' });
    const { fd } = server._handle;
    report({ source, name, address, moved: before === link(fd), stdin: link(0), cloexec: describe(fd).cloexec, fd });`,
    { stdin: 'tcp("127.0.0.1", 0, 17)' },
  );
  const found = await program.json();
  t.match(found, { source: 'inherited', name: 'stdin', moved: true, stdin: '/dev/null', cloexec: true });
  t.ok(found.fd > 2);
  t.equal(await answer({ port: found.address.port, host: '127.0.0.1' }), `served by ${program.pid}`);
  t.equal(tcpQueue(found.address.port).backlog, 17);
});

t.test('a socket on stdin that others send to is adopted', { skip }, async (t) => {
  for (const stdin of ['udp()', `unix_dgram("${join(temporaryFolder(t), 's')}")`]) {
    const [source, after] = await resultOf(
      t,
      `${prelude}
      import { listenDatagram } from 'listenfds/sockets';
      const { source } = await listenDatagram({ activation: 'required' });
      done([source, link(0)]);`,
      { stdin },
    );
    t.equal(source, 'inherited', stdin);
    t.equal(after, '/dev/null', stdin);
  }
});

t.test('a listening unix socket on stdin is adopted, once', { skip }, async (t) => {
  const path = join(temporaryFolder(t), 's');
  const program = activateModule(
    t,
    `${prelude}
    const first = await listen(createServer(app), '${path}');
    const second = await listen(createServer(app), '127.0.0.1:0');
    report([first.source, first.address, second.source, process.stdin.read()]);`,
    { stdin: `unix("${path}")` },
  );
  t.same(await program.json(), ['inherited', path, 'bound', null]);
  t.equal(await answer({ path }), `served by ${program.pid}`);
});

t.test('a mismatch names standard input', { skip }, async (t) => {
  const [code, message] = await resultOf(
    t,
    `${prelude}
    listen(createServer(app), { port: 1, mismatch: 'error' }).catch(({ code, message }) => done([code, message]));`,
    { stdin: 'tcp()' },
  );
  t.equal(code, 'LISTENFDS_ADDRESS_MISMATCH');
  t.match(
    message,
    /\(FileDescriptorName 'stdin', inet stream\) is bound to 127\.0\.0\.1:[0-9]+, not to 1 as asked for/,
  );
});

t.test('what is no listener stays where it is', { skip }, async (t) => {
  for (const stdin of ['accepted()', 'connected()', 'unix(None, None)', 'special("/dev/zero")', 'os.pipe()[0]']) {
    const [before, after, source] = await resultOf(
      t,
      `${prelude}
      const before = link(0);
      const { source } = await listen(createServer(app), '127.0.0.1:0');
      done([before, link(0), source]);`,
      { stdin },
    );
    t.equal(after, before, stdin);
    t.equal(source, 'bound');
  }
});

t.test('LISTEN_FDS comes first', { skip }, async (t) => {
  const [name, stdin] = await resultOf(
    t,
    `${prelude}
    const before = link(0);
    const { name } = await listen(createServer(app));
    done([name, before === link(0)]);`,
    { stdin: 'tcp()', fds: ['tcp()'], names: ['web'] },
  );
  t.equal(name, 'web');
  t.equal(stdin, true, 'then stdin is left alone');
});

t.test('activation: never leaves it alone', { skip }, async (t) => {
  const result = await resultOf(
    t,
    `${prelude}
    const before = link(0);
    const { source } = await listen(createServer(app), { address: '127.0.0.1:0', activation: 'never' });
    done([source, before === link(0)]);`,
    { stdin: 'tcp()' },
  );
  t.same(result, ['bound', true]);
});

t.test(
  'output that is the listener does not end the program, and nothing is lost of an output of its own',
  async (t) => {
    const source = `
    console.log('before');
    console.error('on standard error');
    const { listen } = await import('listenfds');
    const { createServer } = await import('node:http');
    const { address } = await listen((request, response) => (console.log('served'), response.end('served by ' + process.pid)));
    require('node:fs').writeFileSync(process.env.OUT, JSON.stringify(address));`;
    const path = join(temporaryFolder(t), 'out');
    const shells = {
      'all three, as StandardInput=socket does it by default': 'exec 1>&0 2>&0; exec "$@"',
      'standard output alone': 'exec 1>&0; exec "$@"',
    };
    for (const [what, shell] of Object.entries(shells)) {
      const command = [
        process.execPath,
        '--import',
        join(root, 'dist/index.js'),
        '-e',
        `(async () => { ${source} })()`,
      ];
      const program = activate(t, ['sh', '-c', shell, 'sh', ...command], { stdin: 'tcp()', env: { OUT: path } });
      while (!existsSync(path) && program.child.exitCode === null)
        await new Promise((resolve) => setTimeout(resolve, 20));
      const { port } = JSON.parse(readFileSync(path, 'utf8')) as { port: number };
      rmSync(path);
      t.equal(await get(port), `served by ${program.pid}`, what);
      const { stderr } = await program.kill();
      if (shell.includes('2>')) t.equal(stderr, '');
      else t.match(stderr, /before\non standard error\nserved/, 'what went to standard output goes to standard error');
    }
  },
);

t.test('a connected datagram socket on stdin is no service', { skip }, async (t) => {
  const found = await resultOf(
    t,
    `${prelude}
    const { listenDatagram } = await import('listenfds/sockets');
    const { source } = await listenDatagram('127.0.0.1:0');
    done([source, describe(0).connected]);`,
    { stdin: 'connected_udp()' },
  );
  t.same(found, ['bound', true]);
});
