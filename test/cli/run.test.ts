import { once } from 'node:events';
import { readdirSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { root } from '../support/activate.ts';
import { withoutOtherUsers } from '../support/as.ts';
import { cli, interrupt, onTerminal, Run } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { gone } from '../support/processes.ts';

const serve = [process.execPath, join(root, 'test/fixtures/serve.js')];
const node = (source: string): string[] => [process.execPath, '-e', source];

const pidOf = (body: string): number => Number(/pid (\d+)/.exec(body)?.[1]);

t.test('the first connection starts the command; when it ends the next one starts it again', async (t) => {
  const run = new Run(t, ['-l', 'web=127.0.0.1:0', '--', ...serve]);
  const port = await run.port();
  t.notMatch(run.program.stderr, /started/);
  const first = pidOf(await get(port));
  await run.says(/connection for web: started .*serve\.js, pid \d+/);
  await run.says(new RegExp(`pid ${first} is ready after`));
  process.kill(first, 'SIGTERM');
  await run.says(/exited with status 0 .*the sockets stay open/);
  const second = pidOf(await get(port));
  t.not(second, first);
  run.signal('SIGTERM');
  t.match(await run.program.ended, { code: 0, signal: null });
  t.throws(() => process.kill(second, 0), 'it took the command with it');
});

const variables = `console.log(JSON.stringify([process.pid, ...['PID', 'FDS', 'FDNAMES'].map((name) => process.env['LISTEN_' + name])]))`;

t.test('every kind of socket is passed, in order and with its name', async (t) => {
  const folder = temporaryFolder(t);
  const at = (name: string): string => join(folder, name);
  const source = `
        import { listenFds } from 'listenfds';
    console.log(JSON.stringify(listenFds().map(({ name, family, type, kind, listening }) => [name, family ? family + ' ' + type : kind, listening])));
  `;
  const sockets = [
    '-l',
    '127.0.0.1:0',
    '-l',
    `unix=${at('u')}`,
    '--datagram',
    '127.0.0.1:0',
    '--datagram',
    `dgram=${at('d')}`,
  ];
  const more = ['--seqpacket', `packet=${at('p')}`, '--fifo', `pipe=${at('f')}`, '--name', 'rest', '--once'];
  const { stdout, stderr, code } = await cli(t, [
    'run',
    ...sockets,
    ...more,
    '--',
    process.execPath,
    '--input-type=module',
    '-e',
    source,
  ]);
  t.equal(code, 0, stderr);
  t.strictSame(JSON.parse(stdout), [
    ['rest', 'inet stream', true],
    ['unix', 'unix stream', true],
    ['rest', 'inet dgram', false],
    ['dgram', 'unix dgram', false],
    ['packet', 'unix seqpacket', true],
    ['pipe', 'fifo', false],
  ]);
  t.strictSame(readdirSync(folder), [], 'what it made is gone');
});

t.test('a datagram or a writer starts the command, too', async (t) => {
  const path = join(temporaryFolder(t), 'pipe');
  const run = new Run(t, ['--fifo', path, '--', 'sh', '-c', 'head -c 6 <&3; exec sleep 600']);
  await run.says(/no process/);
  writeFileSync(path, 'hello\n');
  t.equal(await run.program.line(), 'hello');
  run.signal('SIGTERM');
  t.match(await run.program.ended, { signal: 'SIGTERM' });
});

t.test('it ends as the command ends: exit status, signal', async (t) => {
  const once = (...args: string[]) => cli(t, ['run', '-l', '127.0.0.1:0', '--once', '--', ...args]);
  t.match(await once('sh', '-c', 'exit 7'), { code: 7, signal: null });
  t.match(await once('sh', '-c', 'kill -KILL $$'), { code: null, signal: 'SIGKILL' });
  const { stdout } = await once(...node(variables));
  const [pid, forPid, count, names] = JSON.parse(stdout);
  t.equal(forPid, String(pid));
  t.equal(count, '1');
  t.equal(names, 'unknown');
});

t.test('what cannot be started is told before anything is opened', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'data'), '');
  const start = (...args: string[]) => cli(t, ['run', '-l', join(folder, 'sock'), ...args]);
  const missing = await start('no-such-program');
  t.match(missing, { code: 127, stderr: /no-such-program: not found/ });
  t.match(await start(join(folder, 'data')), { code: 126, stderr: /cannot be executed/ });
  t.match(await start(), { code: 2, stderr: /no command/ });
  t.match(await cli(t, ['run', 'true']), { code: 2, stderr: /no socket/ });
  t.notOk(existsSync(join(folder, 'sock')));
});

t.test('what does not go together is told', async (t) => {
  const together = await cli(t, ['run', '-l', '127.0.0.1:0', '--accept', '--now', '--', 'true']);
  t.match(together, { code: 2, stderr: /--accept and --now do not go together/ });
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'file'), '');
  const noFifo = await cli(t, ['run', '--fifo', join(folder, 'file'), '--', 'true']);
  t.match(noFifo, { code: 1, stderr: /is there, and no FIFO/ });
});

t.test('an address in use is told, and nothing else stays open', async (t) => {
  const folder = temporaryFolder(t);
  const first = new Run(t, ['-l', '127.0.0.1:0', '--', 'true']);
  const port = await first.port();
  const second = await cli(t, ['run', '-l', join(folder, 'sock'), '-l', `127.0.0.1:${port}`, '--', 'true']);
  t.match(second, { code: 1, stderr: /cannot be opened: EADDRINUSE/ });
  t.match(second.stderr, /hint: ss -ltnp/);
  t.strictSame(readdirSync(folder), []);
});

t.test('a command that fails at its start is tried again, later and later, and a change tries at once', async (t) => {
  const folder = temporaryFolder(t);
  const program = join(folder, 'app.mjs');
  writeFileSync(program, 'process.exit(3)');
  const run = new Run(t, ['-l', '127.0.0.1:0', '--watch', `${folder}/*.mjs`, '--', process.execPath, program]);
  const port = await run.port();
  const answer = get(port);
  await run.says(/exited with status 3 .*before it was ready; connections wait, next try in 200 ms/);
  await run.says(/next try in 400 ms/);
  await run.says(/next try in 800 ms/);
  writeFileSync(
    program,
    `import { createServer } from 'node:http'; createServer((q, s) => s.end('fixed')).listen({ fd: 3 });`,
  );
  await run.says(/app\.mjs has changed: trying again/);
  t.equal(await answer, 'fixed', 'the connection that came first');
});

t.test('--watch restarts it, and no connection is refused or reset', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'src'));
  const run = new Run(t, ['-l', '127.0.0.1:0', '--now', '--watch', `${folder}/**/*.js`, '--', ...serve]);
  const port = await run.port();
  await run.says(/is ready/);
  let done = false;
  const pids = new Set<number>();
  let answers = 0;
  const client = async (): Promise<void> => {
    while (!done) {
      pids.add(pidOf(await get(port)));
      answers += 1;
    }
  };
  const clients = [client(), client(), client(), client()];
  for (let i = 0; i < 4; i++) {
    // A new directory counts as well.
    if (i === 2) mkdirSync(join(folder, 'src/deep'));
    writeFileSync(join(folder, i < 2 ? 'src/a.js' : 'src/deep/b.js'), String(i));
    await run.says(/\.js has changed: restarting/);
    await run.says(/is ready/);
  }
  writeFileSync(join(folder, 'src/a.txt'), 'matches nothing');
  await get(port);
  done = true;
  await Promise.all(clients);
  t.ok(answers > pids.size);
  t.ok(pids.size >= 4, `${pids.size} processes gave ${answers} answers`);
  t.notMatch(run.program.stderr, /a\.txt/);
});

t.test('--now starts it at once and keeps it running', async (t) => {
  const run = new Run(t, ['-l', '127.0.0.1:0', '--now', '--', ...serve]);
  const port = await run.port();
  await run.says(/started .*pid \d+/);
  await run.says(/is ready/);
  const pid = pidOf(await get(port));
  process.kill(pid, 'SIGKILL');
  await run.says(/was ended by SIGKILL/);
  await run.says(/started again/);
  t.not(pidOf(await get(port)), pid);
});

t.test('SIGHUP is passed on, and what the command says to its manager is shown', async (t) => {
  const run = new Run(t, ['-l', '127.0.0.1:0', '--now', '--', ...serve], { env: { RELOAD: 'yes' } });
  await run.says(/started/);
  run.signal('SIGHUP'); // too early: it waits until the command can take it
  await run.says(/is ready/);
  await run.says(/is reloading/);
  t.match(await run.program.line(), /reload|listening/);
  await run.says(/is ready again/);
  run.signal('SIGTERM');
  await run.says(/Draining, 0 connections left/);
});

t.test('SIGHUP makes a service upgrade that can, and its successor goes on', async (t) => {
  const fixture = join(root, 'test/fixtures/upgrade.js');
  const behaviour = join(temporaryFolder(t), 'behaviour');
  writeFileSync(behaviour, '');
  const env = { SERVE_OPTIONS: '{ "upgrade": { "signal": "SIGHUP" } }', BEHAVIOUR: behaviour };
  const run = new Run(t, ['-l', '127.0.0.1:0', '--now', '--', process.execPath, fixture], { env });
  const port = await run.port();
  const first = pidOf(await get(port));
  await run.says(/is ready/);
  run.signal('SIGHUP');
  const [, successor] = await run.says(new RegExp(`pid ${first} has handed over to pid (\\d+)`));
  let pid = first;
  while (pid === first) pid = pidOf(await get(port));
  t.equal(pid, Number(successor));
  await gone(first);
  t.equal(pidOf(await get(port)), pid, 'also when the first one has gone');
  t.equal(run.program.child.exitCode, null);
  run.signal('SIGTERM');
  await run.says(new RegExp(`pid ${successor} exited with status 0`));
  t.match(await run.program.ended, { code: 0 });
});

t.test('a stop right after an upgrade waits for the process that has handed over', async (t) => {
  const fixture = join(root, 'test/fixtures/upgrade.js');
  const env = { SERVE_OPTIONS: '{ "upgrade": { "signal": "SIGHUP" } }', BEHAVIOUR: '/dev/null' };
  const run = new Run(t, ['-l', '127.0.0.1:0', '--now', '--', process.execPath, fixture], { env });
  const port = await run.port();
  const first = pidOf(await get(port));
  await run.says(/is ready/);
  const slow = get({ host: '127.0.0.1', port, path: '/slow?ms=2000' });
  await get(port);
  run.signal('SIGHUP');
  const [, successor] = await run.says(new RegExp(`pid ${first} has handed over to pid (\\d+)`));
  run.signal('SIGTERM');
  await run.says(new RegExp(`pid ${successor} exited with status 0`));
  t.equal(run.program.child.exitCode, null, 'it goes on while the old one answers');
  t.equal(await slow, `slow ${first}\n`);
  t.match(await run.program.ended, { code: 0 });
});

t.test('--idle-timeout lets the command leave', async (t) => {
  const run = new Run(t, ['-l', '127.0.0.1:0', '--idle-timeout', '100ms', '--', ...serve]);
  const port = await run.port();
  const first = pidOf(await get(port));
  await run.says(/exited with status 0 .*the sockets stay open/);
  t.not(pidOf(await get(port)), first);
});

t.test('a command that does not stop is killed', async (t) => {
  const source = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')";
  const run = new Run(t, ['-l', '127.0.0.1:0', '--once', '--stop-timeout', '200ms', '--', ...node(source)]);
  await run.program.line();
  run.signal('SIGTERM');
  await run.says(/does not stop: killed after 200 ms/);
  t.match(await run.program.ended, { signal: 'SIGKILL' });
});

t.test('it follows MAINPID= to a successor that the command started', async (t) => {
  const program = [
    'import os, socket, signal, sys',
    's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)',
    's.connect(os.environ["NOTIFY_SOCKET"])',
    'child = os.fork()',
    'if child == 0: signal.pause()',
    's.send(b"MAINPID=%d\\nREADY=1\\nSTATUS=second" % child)',
  ].join('\n');
  const run = new Run(t, ['-l', '127.0.0.1:0', '--now', '--', 'python3', '-c', program]);
  const [, first, second] = await run.says(/pid (\d+) has handed over to pid (\d+)/);
  await run.says(new RegExp(`pid ${second} is ready after .*: second`));
  t.not(first, second);
  process.kill(Number(second), 'SIGTERM');
  await run.says(new RegExp(`pid ${second} was ended by SIGTERM`));
});

t.test('--accept starts one command for each connection', async (t) => {
  const run = new Run(t, [
    '-l',
    '127.0.0.1:0',
    '--accept',
    '--',
    'sh',
    '-c',
    'echo "$LISTEN_FDNAMES $REMOTE_ADDR"; exec cat <&3 >&3',
  ]);
  const port = await run.port();
  const talk = async (words: string): Promise<string> => {
    const socket = connect(port, '127.0.0.1');
    socket.end(words);
    return text(socket);
  };
  t.strictSame(await Promise.all([talk('one'), talk('two'), talk('three')]), ['one', 'two', 'three']);
  t.equal(await run.program.line(), 'connection 127.0.0.1');
  run.signal('SIGTERM');
  t.match(await run.program.ended, { code: 0 });
});

t.test('--accept starts nothing for a client that is gone before it is accepted', async (t) => {
  const command = ['sh', '-c', 'echo "from ${REMOTE_ADDR-nobody}"'];
  const run = new Run(t, ['-l', '127.0.0.1:0', '--accept', '--', ...command]);
  const port = await run.port();
  run.signal('SIGSTOP');
  const reset = connect(port, '127.0.0.1');
  await once(reset, 'connect');
  reset.resetAndDestroy();
  await once(reset, 'close');
  const next = connect(port, '127.0.0.1');
  await once(next, 'connect');
  run.signal('SIGCONT');
  await run.says(/refused, its client was gone before it was accepted/);
  t.equal(await run.program.line(), 'from 127.0.0.1', 'the one behind it is served');
  next.destroy();
  run.signal('SIGTERM');
  const { code, stderr } = await run.program.ended;
  t.equal(code, 0);
  t.equal(stderr.match(/started pid/g)?.length, 1);
});

t.test('on a terminal Ctrl-C reaches the command once, and the end is that of the command', async (t) => {
  const source = `
    let times = 0;
    process.on('SIGINT', () => { console.log('interrupted', ++times); setTimeout(() => process.exit(9), 200); });
    setInterval(() => {}, 1000);
    console.log('up', process.stdin.isTTY);
  `;
  const args = ['run', '-l', '127.0.0.1:0', '--now', '-q', '--'];
  const lines = await onTerminal(t, 'up true', interrupt, ...args, ...node(source));
  t.strictSame(lines, ['up true', '^Cinterrupted 1', 'exit 9']);

  const killed = await onTerminal(t, 'up', interrupt, ...args, 'sh', '-c', 'echo up; exec sleep 600');
  t.match(killed.join(' '), /^up \^C ?signal 2$/, 'or that of the signal');

  const waiting = await onTerminal(t, 'listening', interrupt, 'run', '-l', '127.0.0.1:0', '--', 'true');
  t.match(waiting.at(-1), 'exit 0', 'without a command it simply ends');
});

t.test('the command has the terminal and what is typed', async (t) => {
  const args = ['run', '-l', '127.0.0.1:0', '--once', '-q', '--'];
  const lines = await onTerminal(
    t,
    'name?',
    'Ada\n',
    ...args,
    'sh',
    '-c',
    'echo "name?"; read name; echo "hello $name"; exit 4',
  );
  t.strictSame(lines, ['name?', 'Ada', 'hello Ada', 'exit 4']);
});

t.test('a launcher before the program is noted, with the command to write instead', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const run = new Run(t, ['-l', path, '--', process.execPath, '--watch', '/nowhere.js']);
  await run.says(
    /node --watch stays between listenfds and the program, which does not get the sockets: write listenfds run --watch/,
  );
});

t.test('--mode, --user and --group say who may connect to a path', { skip: withoutOtherUsers() }, async (t) => {
  const folder = temporaryFolder(t);
  const [socket, fifo] = [join(folder, 's'), join(folder, 'f')];
  const options = ['--mode', '0640', '--user', '1234', '--group', '4321'];
  const run = new Run(t, ['-l', socket, '--fifo', fifo, '-l', '127.0.0.1:0', ...options, '--', 'true']);
  await run.says(/listening on/);
  for (const path of [socket, fifo]) {
    const { mode, uid, gid } = statSync(path);
    t.same([mode & 0o777, uid, gid], [0o640, 1234, 4321], path);
  }
  run.signal('SIGTERM');
  await run.program.ended;
  for (const [args, message] of [
    [['-l', '0', '--mode', '0600'], '--mode is for sockets with a path'],
    [['-l', socket, '--mode', '999'], '--mode "999" is not an access mode'],
    [['-l', socket, '--user', ''], '--user "" is not a name or a number'],
  ] as const) {
    t.match(await cli(t, ['run', ...args, '--', 'true']), { code: 2, stderr: message });
  }
});
