// Who can use the ways in which a service, its successor and `listenfds upgrade` talk to each other: sockets in a folder that
// nobody else can enter, and each end looks at who the other is.
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { serialize } from 'node:v8';
import { dirname, join } from 'node:path';
import t from 'tap';
import { activate, activateModule } from '../support/activate.ts';
import { as, withoutOtherUsers } from '../support/as.ts';
import { cli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { alive, listening, start, successorOf, upgrade } from '../support/upgradable.ts';

const skip = withoutOtherUsers();

/** What a process listens for commands on, as its network namespace lists it. */
function controlPath(pid: number): string {
  const [, path] = new RegExp(` (/\\S*/control-${pid}-\\S+)$`, 'm').exec(readFileSync('/proc/net/unix', 'utf8')) ?? [];
  if (path === undefined) throw new Error(`${pid} listens for no commands`);
  return path;
}

const service = `import { serve } from 'listenfds';
const { listening } = await serve((_, response) => response.end(String(process.pid)), { port: 0, upgrade: true });
console.log(listening[0].address.port);`;

t.test('a command of another user is not obeyed', { skip }, async (t) => {
  const running = activateModule(t, service, { through: as({ uid: 12_345, gid: 1 }) });
  const port = await running.line();
  const stranger = as({ uid: 54_321, gid: 1 });
  const { code, stderr } = await cli(t, ['upgrade', String(running.pid)], { through: stranger });
  t.equal(code, 1);
  t.match(stderr, 'does not take upgrades from user 54321');
  t.equal(await get(Number(port)), String(running.pid), 'it is the same process');
});

t.test('a service in a network namespace of its own is reached', { skip }, async (t) => {
  const path = join(temporaryFolder(t), 's');
  const service = await start(t, { options: { path }, through: ['unshare', '--net'] });
  const { pid } = service;
  t.match(await get({ socketPath: path }), `pid ${pid}`);
  t.match(await upgrade(pid), { exitCode: 0 });
  const successor = await listening(service);
  t.match(await get({ socketPath: path }), `pid ${successor.pid}`);
});

t.test('who answers in the place of another process is found out', async (t) => {
  const running = activateModule(t, "console.log('up'); setInterval(() => {}, 1000)");
  await running.line();
  const impostor = createServer((socket) => {
    socket.on('error', () => {}); // it is left in the middle
    socket.end('{"ok":true,"pid":1,"durationMs":1}\n');
  });
  const folder = join(temporaryFolder(t), 'listenfds-0');
  mkdirSync(folder);
  impostor.listen({ path: join(folder, `control-${running.pid}-00`) });
  await once(impostor, 'listening');
  t.teardown(() => impostor.close());
  const { code, stderr } = await cli(t, ['upgrade', String(running.pid)]);
  t.equal(code, 1);
  t.match(stderr, `Process ${process.pid} answers in the place of ${running.pid}`);
});

t.test('what is no answer is an error, without a trace and without orders to the terminal', async (t) => {
  const folder = join(temporaryFolder(t), 'listenfds-0');
  mkdirSync(folder);
  for (const [answer, expected] of [
    ['{"ok":\n', 'which is not a known answer'],
    ['null\n', 'which is not a known answer'],
    ['{"ok":true}\n', 'which is not a known answer'],
    [`${JSON.stringify({ ok: false, code: 'X', message: '\u001b]0;title\u0007\u001b[2J' })}\n`, '\\x1b[2J'],
    ['x'.repeat(100_000), 'refused to answer'],
  ] as const) {
    const running = activateModule(
      t,
      `import { createServer } from 'node:net';
      const server = createServer((socket) => socket.on('error', () => {}).end(${JSON.stringify(answer)}));
      server.listen({ path: '${folder}/control-' + process.pid + '-00' }, () => console.log('up'));`,
    );
    await running.line();
    const { code, stderr } = await cli(t, ['upgrade', String(running.pid)]);
    t.equal(code, 1);
    t.match(stderr, expected);
    t.notOk(stderr.includes('\x1b'));
    t.notMatch(stderr, /\n\s+at /);
    await running.kill();
  }
});

t.test('of a folder that somebody else has made first nothing is used', { skip }, async (t) => {
  const parent = temporaryFolder(t);
  chmodSync(parent, 0o1777);
  for (const uid of [54_321, 12_345]) {
    const folder = join(parent, `listenfds-12345`);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    chownSync(folder, uid, 1);
    chmodSync(folder, uid === 12_345 ? 0o777 : 0o700); // or has opened to others
    const running = activateModule(t, service, {
      through: as({ uid: 12_345, gid: 1 }),
      env: { RUNTIME_DIRECTORY: parent },
    });
    await running.line();
    const used = dirname(controlPath(running.pid));
    t.match(used, new RegExp(`^${folder}-......$`));
    t.equal(statSync(used).mode & 0o777, 0o700);
    await running.kill();
  }
});

// Tries everything of this package that the kernel lists, as fast as it can, and says how each kind answered.
const prober = `
import re, socket, sys, time
seen, errors = set(), set()
print('probing', flush=True)
end = time.time() + 3
while time.time() < end:
    for path in re.findall(r'[ ]([@/][^ \\n]*listenfds[^ \\n]*)', open('/proc/net/unix').read()):
        kind = re.search(r'(control|upgrade|notify)', path)
        if not path.startswith(sys.argv[1]): continue
        seen.add(kind and kind[0])
        for sort in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_UNIX, sort) as s:
                try: s.connect(path); errors.add('connected to ' + path)
                except OSError as error: errors.add(type(error).__name__)
print(sorted(seen), sorted(errors))
`;

t.test(
  'another user reaches nothing of a service and its successor, in a user namespace either',
  { skip },
  async (t) => {
    const asNobody = ['unshare', '--user', '--map-user=65534', '--map-group=65534'];
    for (const through of [[], asNobody]) {
      const parent = temporaryFolder(t);
      chownSync(parent, 12_345, 1);
      chmodSync(parent, 0o755);
      const running = await start(t, {
        through: [...as({ uid: 12_345, gid: 1 }), ...through],
        env: { RUNTIME_DIRECTORY: parent },
      });
      chmodSync(dirname(running.file), 0o755);
      running.behave('hang');
      const other = activate(t, ['python3', '-c', prober, parent], {
        through: as({ uid: 54_321, gid: 1 }),
        env: { PATH: '/usr/bin:/bin' },
      });
      t.equal(await other.line(), 'probing');
      process.kill(running.pid, 'SIGUSR2');
      await successorOf(running);
      t.equal(await other.line(), "['control', 'notify', 'upgrade'] ['PermissionError']");
      for (const pid of alive(running)) process.kill(pid, 'SIGKILL');
      await running.ended;
    }
  },
);

// As the old process says it: the length, then what is handed over.
function hello(state: unknown): Buffer {
  const body = serialize({ hello: { notifySocket: null, watchdogUsec: null, state } });
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

t.test('a successor takes its state from its own user or root, and from nobody else', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o777);
  const path = join(folder, 's');
  const source = `
    import { createServer } from 'node:net';
    const server = createServer((socket) => socket.end(Buffer.from('${hello('forged').toString('hex')}', 'hex')));
    server.listen({ path: '${path}', writableAll: true }, () => console.log('up'));`;
  const asked = async (teller: number, asking: number): Promise<string> => {
    const telling = activateModule(t, source, { through: as({ uid: teller, gid: 1 }) });
    await telling.line();
    const running = activateModule(
      t,
      "import { upgradeState } from 'listenfds'; console.log(JSON.stringify(await upgradeState()))",
      { through: as({ uid: asking, gid: 1 }), env: { LISTENFDS_UPGRADE: path } },
    );
    const state = await running.line();
    await telling.kill();
    rmSync(path);
    return state;
  };
  t.equal(await asked(54_321, 12_345), 'null', "another user's");
  t.equal(await asked(54_321, 0), 'null', "a user's, asked by root");
  t.equal(await asked(0, 12_345), '"forged"', "root's");
  t.equal(await asked(12_345, 12_345), '"forged"', 'its own');
});

t.test('a process that does not react is not waited for', async (t) => {
  const running = activateModule(t, service);
  await running.line();
  process.kill(running.pid, 'SIGSTOP');
  const { code, stderr } = await cli(t, ['upgrade', String(running.pid)]);
  t.equal(code, 1);
  t.match(stderr, new RegExp(`Process ${running.pid} does not react: it is stopped`));
});

t.test('what is no command is not answered', async (t) => {
  const running = activateModule(t, service);
  const port = await running.line();
  const client = connect({ path: controlPath(running.pid) });
  client.end('exit\n');
  client.on('error', () => {});
  await once(client, 'close');
  t.equal(await get(Number(port)), String(running.pid));
});
