// `listenfds run` and every process that comes of its command: none is left, none is cut off, each hears of the end.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { root } from '../support/activate.ts';
import { interrupt, onTerminal, Run } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { gone, isAlive } from '../support/processes.ts';

const fixture = join(root, 'test/fixtures/upgrade.js');
const pidOf = (body: string): number => Number(/pid (\d+)/.exec(body)?.[1]);

/** A service that upgrades at SIGHUP, and the file that says how its successors behave. */
function upgradable(t: Test) {
  const behaviour = join(temporaryFolder(t), 'behaviour');
  writeFileSync(behaviour, '');
  const env = { SERVE_OPTIONS: '{ "upgrade": { "signal": "SIGHUP" } }', BEHAVIOUR: behaviour };
  return { env, behave: (text: string) => writeFileSync(behaviour, text) };
}

t.test('a successor whose old process was killed in the middle does not keep the port', async (t) => {
  const { env, behave } = upgradable(t);
  const run = new Run(t, ['-l', '127.0.0.1:0', '--', process.execPath, fixture], { env });
  const port = await run.port();
  const first = pidOf(await get(port));
  await run.says(/is ready/);
  behave('tell');
  run.signal('SIGHUP');
  const successor = Number(/^successor (\d+)$/.exec(await lineAfter(run, /^successor/))![1]);
  process.kill(first, 'SIGKILL');
  await run.says(new RegExp(`pid ${first} was ended by SIGKILL`));
  await gone(successor);
  behave('');
  const next = pidOf(await get(port));
  t.ok(next !== first && next !== successor, 'the next connection starts the command anew');
  run.signal('SIGTERM');
  t.match(await run.program.ended, { code: 0 });
});

async function lineAfter(run: Run, pattern: RegExp): Promise<string> {
  for (;;) {
    const line = await run.program.line();
    if (pattern.test(line)) return line;
  }
}

t.test('what the command leaves behind at its end is ended', async (t) => {
  const run = new Run(t, ['-l', '127.0.0.1:0', '--once', '--', 'sh', '-c', 'sleep 600 & echo $!']);
  const left = Number(await run.program.line());
  t.match(await run.program.ended, { code: 0 });
  t.notOk(isAlive(left));
});

t.test('also what takes no notice of SIGTERM', async (t) => {
  const source = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('deaf', process.pid)`;
  const script = `'${process.execPath}' -e "${source}" & sleep 600`;
  const run = new Run(t, ['-l', '127.0.0.1:0', '--once', '--stop-timeout', '200ms', '--', 'sh', '-c', script]);
  const deaf = Number(/^deaf (\d+)$/.exec(await run.program.line())![1]);
  run.signal('SIGTERM');
  await run.program.ended;
  t.notOk(isAlive(deaf));
});

t.test('a process that has handed over answers what it has, however short --stop-timeout is', async (t) => {
  const { env } = upgradable(t);
  const args = ['-l', '127.0.0.1:0', '--now', '--stop-timeout', '2s', '--', process.execPath, fixture];
  const run = new Run(t, args, { env });
  const port = await run.port();
  const first = pidOf(await get(port));
  await run.says(/is ready/);
  const slow = get({ host: '127.0.0.1', port, path: '/slow?ms=6000&say' });
  await lineAfter(run, /^asked/);
  run.signal('SIGHUP');
  await run.says(new RegExp(`pid ${first} has handed over`));
  run.signal('SIGTERM');
  t.equal(await slow, `slow ${first}\n`);
  t.match(await run.program.ended, { code: 0 });
});

t.test('it waits for the process that has handed over, also when its successor is gone', async (t) => {
  const { env } = upgradable(t);
  const run = new Run(t, ['-l', '127.0.0.1:0', '--now', '--', process.execPath, fixture], {
    env: { ...env, SAY_DRAINING: '1' },
  });
  const port = await run.port();
  const first = pidOf(await get(port));
  await run.says(/is ready/);
  // Answered when it has been sent whole, which is up to us.
  const slow = request({ host: '127.0.0.1', port, path: '/whole?say', method: 'POST', agent: false });
  const answer = new Promise<string>((resolve, reject) => {
    slow.once('response', (response) => text(response).then(resolve, reject)).once('error', reject);
  });
  slow.write('the first half');
  await lineAfter(run, /^asked/);
  run.signal('SIGHUP');
  const [, successor] = await run.says(new RegExp(`pid ${first} has handed over to pid (\\d+)`));
  await lineAfter(run, /^draining/); // the successor has taken over
  process.kill(Number(successor), 'SIGKILL');
  run.signal('SIGTERM');
  await run.says(new RegExp(`waiting for pid ${first}`));
  t.notOk(isAlive(Number(successor)));
  slow.end('the second half');
  t.equal(await answer, `whole ${first}\n`);
  await run.program.ended;
  t.notOk(isAlive(first));
});

t.test('while it waits for what is left behind nothing is started any more', async (t) => {
  const deaf = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('deaf', process.pid)`;
  const answerOnce = `
    const child = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(deaf)}], { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
    child.stdout.once('data', (line) => {
      process.stdout.write(line);
      require('node:net').createServer((socket) => socket.end('once', () => process.exit())).listen({ fd: 3 });
    });`;
  const run = new Run(t, ['-l', '127.0.0.1:0', '--', process.execPath, '-e', answerOnce]);
  const port = await run.port();
  t.equal(await text(connect(port, '127.0.0.1')), 'once');
  const left = Number(/^deaf (\d+)$/.exec(await lineAfter(run, /^deaf/))![1]);
  await run.says(/the sockets stay open/);
  run.signal('SIGTERM');
  await run.says(new RegExp(`waiting for pid ${left}`));
  const late = connect(port, '127.0.0.1').on('error', () => {});
  await new Promise((resolve) => late.once('connect', resolve));
  process.kill(left, 'SIGKILL');
  t.match(await run.program.ended, { code: 0 });
  t.equal(run.program.stderr.match(/started/g)?.length, 1);
  late.destroy();
});

t.test('a stop in the moment of the hand-over reaches everybody', async (t) => {
  const { env } = upgradable(t);
  const run = new Run(t, ['-l', '127.0.0.1:0', '--now', '--', process.execPath, fixture], { env });
  const port = await run.port();
  await run.says(/is ready/);
  run.signal('SIGHUP');
  await lineAfter(run, /^listening/); // the first
  const [, successor] = /^listening (\d+)/.exec(await lineAfter(run, /^listening/))!;
  const slow = get({ host: '127.0.0.1', port, path: '/slow?ms=500&say' });
  await lineAfter(run, /^asked/);
  run.signal('SIGTERM');
  t.match(await slow, /^slow \d+\n$/);
  t.match(await run.program.ended, { code: 0 });
  t.notOk(isAlive(Number(successor)));
});

t.test('MAINPID= of a process that is none of the command’s is not believed', async (t) => {
  const program = [
    'import os, socket, signal, sys',
    's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)',
    's.connect(os.environ["NOTIFY_SOCKET"])',
    's.send(b"MAINPID=%s\\nREADY=1" % sys.argv[1].encode())',
    'signal.pause()',
  ].join('\n');
  const run = new Run(t, ['-l', '127.0.0.1:0', '--now', '--', 'python3', '-c', program, String(process.pid)]);
  const [, pid] = await run.says(/pid (\d+) is ready/);
  t.not(Number(pid), process.pid);
  run.signal('SIGTERM');
  t.match(await run.program.ended, { signal: 'SIGTERM' });
});

const served = ['run', '-l', '127.0.0.1:0', '--now', '--', process.execPath, '--input-type=module', '-e'];

/** Connects, and gives what the command says first. */
async function accepted(port: number): Promise<{ line: string; closed: Promise<unknown> }> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const line = await new Promise<string>((resolve) => socket.setEncoding('utf8').once('data', resolve));
  return { line: line.trim(), closed };
}

// Answers with its pid and that of a daemon that has left it, and lives until it is told otherwise.
const daemon = 'setsid sleep 600 3>&- & echo $$ $! >&3; exec sleep 600';
const accepting = ['-l', '127.0.0.1:0', '--accept', '--stop-timeout', '300ms', '--', 'sh', '-c'];

t.test('--accept: what a command leaves behind ends with it, and that of another command stays', async (t) => {
  const run = new Run(t, [...accepting, daemon]);
  const port = await run.port();
  const [one, two] = [await accepted(port), await accepted(port)];
  const [first, second] = [one, two].map(({ line }) => line.split(' ').map(Number) as [number, number]);
  process.kill(first![0], 'SIGTERM');
  await gone(first![1]);
  await one.closed;
  t.ok(isAlive(second![0]) && isAlive(second![1]));
  run.signal('SIGTERM');
  t.match(await run.program.ended, { code: 0 });
  t.notOk(isAlive(second![0]) || isAlive(second![1]));
});

t.test('--accept: a daemon whose parent is gone is known by its environment', async (t) => {
  // The first `sh` ends at once, and with it the parent of `sleep`.
  const run = new Run(t, [
    ...accepting,
    '(sh -c "sleep 600 3>&- & echo $! > /dev/null") ; echo $$ >&3; exec sleep 600',
  ]);
  const port = await run.port();
  const [one, two] = [await accepted(port), await accepted(port)];
  const left = () => readdirSync('/proc').filter((pid) => isDaemonOf(Number(two.line), pid));
  t.equal(left().length, 1);
  process.kill(Number(one.line), 'SIGTERM');
  await one.closed;
  await run.says(new RegExp(`pid ${one.line} was ended`));
  t.equal(left().length, 1, 'it is that of a command that runs');
  run.signal('SIGTERM');
  t.match(await run.program.ended, { code: 0 });
  t.same(left(), []);
});

function isDaemonOf(command: number, pid: string): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return Number(pid) !== command && environment.includes(`LISTEN_PID=${command}`) && isAlive(Number(pid));
  } catch {
    return false;
  }
}

t.test('--accept: what takes no notice of SIGTERM is killed, descendants included', async (t) => {
  const deaf = `trap '' TERM; sh -c 'trap "" TERM; echo $$ >&3; while :; do sleep 1; done' & wait`;
  const run = new Run(t, [...accepting, deaf]);
  const { line } = await accepted(await run.port());
  run.signal('SIGTERM');
  t.match(await run.program.ended, { code: 0 });
  t.notOk(isAlive(Number(line)));
});

t.test('--accept: asked twice, nobody is waited for', async (t) => {
  const args = ['-l', '127.0.0.1:0', '--accept', '--stop-timeout', '60s', '--', 'sh', '-c'];
  const run = new Run(t, [...args, `trap '' TERM; echo $$ >&3; while :; do sleep 1; done`]);
  const { line } = await accepted(await run.port());
  run.signal('SIGTERM');
  setTimeout(() => run.signal('SIGTERM'), 100);
  t.match(await run.program.ended, { code: 0 });
  t.notOk(isAlive(Number(line)));
});

t.test('Ctrl-C reaches a successor, which leads a process group of its own', async (t) => {
  const shown = await onTerminal(
    t,
    'has handed over',
    interrupt,
    ...served,
    `import { serve } from 'listenfds';
    const first = !process.env.LISTENFDS_UPGRADE;
    const options = { upgrade: { command: [process.execPath, '--input-type=module', '-e', "import { serve } from 'listenfds'; await serve((q, r) => r.end());"] } };
    const service = await serve((request, response) => response.end(), options);
    if (first) await service.upgrade().catch(() => {}); // it may be given up for the stop`,
  );
  t.equal(shown.at(-1), 'exit 0');
});

t.test('SIGINT to run alone reaches the command, although there is a terminal', async (t) => {
  const shown = await onTerminal(
    t,
    'never shown',
    '',
    ...served,
    `import { serve } from 'listenfds';
    await serve((request, response) => response.end());
    process.kill(process.ppid, 'SIGINT');`,
  );
  t.match(shown.join('\n'), /exited with status 0[^]*exit 0\s*$/);
});

t.test('a closed terminal stops it and its service, which answers what it has', async (t) => {
  const told = join(temporaryFolder(t), 'told');
  const shown = await onTerminal(
    t,
    'in flight',
    '',
    ...served,
    `import { appendFileSync } from 'node:fs';
    import { get } from 'node:http';
    import { serve } from 'listenfds';
    const tell = (text) => appendFileSync(${JSON.stringify(told)}, text + '\\n');
    const { listening } = await serve(
      (request, response) => {
        console.log('in', 'flight');
        setTimeout(() => response.end(), 1_500);
      },
      { onReload: () => tell('reload'), onStop: ({ reason }) => tell('stop by ' + reason) },
    );
    get({ port: listening[0].address.port, agent: false }, ({ statusCode }) => tell(statusCode));`,
  );
  // Node.js 20 aborts any program that ends by itself after its terminal was closed.
  t.equal(shown.at(-1), process.versions.node.startsWith('20.') ? 'signal 6' : 'exit 0');
  t.match(readFileSync(told, 'utf8'), /200\nstop by SIGTERM\n$/);
});
