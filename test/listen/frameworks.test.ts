// serve() with every framework of docs/frameworks.md: its own hooks run, it is reached over TCP, over a unix socket and by
// WebSocket, a restart under load loses nothing, and it closes the way its own close() does.
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { createConnection } from 'node:net';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import { activate, root, type Activated, type Passed } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';
import { installed } from '../support/programs.ts';
import { checkTable } from '../support/table.ts';
import { load, type Load, type LoadTarget } from '../support/load.ts';

interface Framework {
  readonly title: string;
  /** The package as it is called here. */
  readonly npm?: string;
  /** The one line that its users change. */
  readonly code: string;
  readonly hooks?: { readonly start: string[]; readonly close: string[] };
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly expected?: string;
  readonly webSocket?: 'socket.io' | 'own';
}

interface Started {
  readonly address: unknown;
  readonly source: string;
  readonly hooks: string[];
  readonly framework: Framework;
}

const runner = join(root, 'test/fixtures/framework.js');
// In a folder that is called like a project of test/programs are those which are installed by that.
const names = readdirSync(join(root, 'test/fixtures/frameworks'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.js'))
  .map((file) => file.replace(/\.js$/, ''));

/** Where its packages are. */
function folderOf(name: string): string | Promise<string> {
  const project = dirname(name);
  return project === '.' ? root : installed(project);
}

async function echo({ webSocket }: Framework, { port, socketPath }: LoadTarget): Promise<string> {
  if (webSocket === 'socket.io') {
    const agent = Object.assign(new Agent(), socketPath && { createConnection: () => createConnection(socketPath) });
    // Another Manager for each: they are kept by URL.
    const socket = io(`http://localhost:${port ?? 80}`, {
      transports: ['websocket'],
      agent: agent as never,
      forceNew: true,
    });
    const answer: string = await socket.emitWithAck('echo', 'hello');
    socket.close();
    return answer;
  }
  const path = webSocket === undefined ? '/echo' : '/';
  const socket =
    socketPath === undefined
      ? new WebSocket(`ws://127.0.0.1:${port}${path}`)
      : new WebSocket(`ws://localhost${path}`, { createConnection: () => createConnection(socketPath) });
  await once(socket, 'open');
  socket.send('hello');
  const [data] = (await once(socket, 'message')) as [Buffer];
  socket.close();
  await once(socket, 'close');
  return String(data);
}

async function start(t: Test, name: string, passed: Passed): Promise<{ program: Activated; started: Started }> {
  const folder = await folderOf(name);
  const env: Record<string, string> = folder === root ? {} : { FRAMEWORK_FOLDER: folder };
  const program = activate(t, [process.execPath, runner, name], { fds: [passed], env });
  const started = await program.json<Started>();
  t.equal(started.source, 'inherited');
  t.strictSame(started.hooks, started.framework.hooks?.start ?? [], 'the hooks of its own listen() have run');
  return { program, started };
}

async function stop(t: Test, program: Activated, { hooks }: Framework): Promise<void> {
  program.child.kill('SIGTERM');
  t.strictSame(await program.json(), { hooks: hooks?.close ?? [] }, 'and those of its own close()');
  const { code, signal, stderr } = await program.ended;
  t.strictSame({ code, signal }, { code: 0, signal: null });
  t.notMatch(stderr, /listenfds/i);
}

function loadOf({ path = '/', headers = {}, expected = '^hello$' }: Framework, place: LoadTarget): Load {
  return load({ ...place, path, headers, expected: new RegExp(expected) });
}

async function proveTcp(t: Test, name: string): Promise<Framework> {
  const { fd, port } = await held(t);
  const { program, started } = await start(t, name, fd);
  t.match(started.address, { address: '127.0.0.1', port });
  t.equal(await echo(started.framework, { port }), 'hello');
  const clients = loadOf(started.framework, { port });
  await clients.more(20);
  await stop(t, program, started.framework);
  const successor = await start(t, name, fd);
  await clients.more(20);
  await clients.stop();
  await stop(t, successor.program, started.framework);
  t.strictSame(clients.failures, [], 'no request failed');
  return started.framework;
}

async function proveUnix(t: Test, name: string): Promise<void> {
  const socketPath = join(temporaryFolder(t), 'app.sock');
  const { program, started } = await start(t, name, `unix("${socketPath}")`);
  const { framework } = started;
  t.equal(started.address, socketPath);
  t.equal(await echo(framework, { socketPath }), 'hello');
  const clients = loadOf(framework, { socketPath });
  await clients.more(5);
  await clients.stop();
  await stop(t, program, framework);
  t.strictSame(clients.failures, []);
}

/** `5`, `0.5`, `1.0.0-next.28`. */
function majorOf(folder: string, npm: string): string {
  const { version } = JSON.parse(readFileSync(join(folder, 'node_modules', npm, 'package.json'), 'utf8'));
  return version.includes('-') ? version : /^(0\.)?[0-9]+/.exec(version)![0];
}

function rowOf(folder: string, { title, npm, code }: Framework): string[] {
  const version = npm === undefined ? 'any' : majorOf(folder, npm);
  return [title, version, `\`await ${code}\``, 'yes', 'yes', 'yes', 'yes'];
}

const rows: string[][] = [];

t.setTimeout(600_000); // older versions are installed at the first run

// It reaches for a part of Node's inside that is gone.
const tooOld: Partial<Record<string, number>> = { 'more-frameworks/restify': 24, 'older-frameworks/restify': 24 };
const unable = names.filter((name) => Number.parseInt(process.versions.node) >= (tooOld[name] ?? Infinity));

t.jobs = 4;
for (const name of names) {
  const skip = unable.includes(name) && `${name} itself does not load on Node.js ${tooOld[name]}`;
  t.test(name, { skip }, async (t) => {
    let framework: Framework | undefined;
    await t.test('a TCP socket is adopted, and a restart under load loses nothing', async (t) => {
      framework = await proveTcp(t, name);
    });
    await t.test('a unix socket is adopted', (t) => proveUnix(t, name));
    if (framework && t.passing()) rows.push(rowOf(await folderOf(name), framework));
  });
}

const skip = unable.length > 0 && `without the rows of ${unable.join(' and ')}`;
t.test('docs/frameworks.md shows this', { buffered: false, skip }, (t) => {
  const header = ['Framework', 'Version', 'One line', 'TCP', 'unix', 'drain', 'WebSocket'];
  checkTable(t, 'docs/frameworks.md', 'frameworks', header, rows);
  t.end();
});
