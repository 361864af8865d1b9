// Ways to run a program, and what becomes of inherited descriptors in each: docs/runtimes.md has a row per test.
import { execFileSync } from 'node:child_process';
import { closeSync, copyFileSync, cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import t, { type Test } from 'tap';
import { nodeBinary } from '../../scripts/node-versions.js';
import { binding } from '../../dist/insides.js';
import { activate, root, type Activated, type Activation } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';
import { get } from '../support/http.js';
import { copyPackage, shipAddon } from '../support/package.ts';
import { muslBun } from '../musl/host.js';
import { noMusl, packageForMusl } from '../support/musl.ts';
import { installed, noRuntimes, runtimes } from '../support/programs.ts';
import { checkTable } from '../support/table.ts';

t.setTimeout(600_000); // other runtimes are installed at the first run
t.jobs = 3;

const rows: string[][] = [];

/** A test that proves a row of the table. */
function row(where: string, outcome: string, skip: string | false, body: (t: Test) => Promise<void>): void {
  t.test(`${where}: ${outcome}`, { skip }, async (t) => {
    await body(t);
    if (t.passing()) rows.push([where, outcome]);
  });
  if (skip) rows.push([where, outcome]);
}

/** A folder with a program, and this package in its node_modules. */
function project(t: Test, files: Readonly<Record<string, string>>, name = 'listenfds'): string {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules', name));
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return folder;
}

const serveIt = `(request, response) => response.end('hello')`;
const answer = (error = 'error'): string =>
  `console.log(JSON.stringify({ code: ${error}.code, message: ${error}.message }))`;

function run(t: Test, folder: string, file: string, activation: Activation = {}, node = process.execPath): Activated {
  return activate(t, [node, join(folder, file)], { ...activation, cwd: folder });
}

async function adopts(t: Test, start: (activation: Activation) => Activated): Promise<void> {
  const { fd, port } = await held(t);
  const running = start({ fds: [fd] });
  t.match(await running.json(), { source: 'inherited', address: { address: '127.0.0.1', port } });
  t.equal(await get(port), 'hello');
}

const adopt =
  'import { listen } from "listenfds"; const { source, address } = await listen(' +
  `${serveIt}, { mismatch: 'ignore' }); console.log(JSON.stringify({ source, address }));`;

row('ES module', 'works', false, (t) => {
  const folder = project(t, { 'main.mjs': adopt });
  return adopts(t, (activation) => run(t, folder, 'main.mjs', activation));
});

const required = `const { listen } = require('listenfds');
listen(${serveIt}).then(({ source, address }) => console.log(JSON.stringify({ source, address })), (error) => ${answer()});`;

row('CommonJS, `require("listenfds")`', 'works, and is the module that `import` gives', false, async (t) => {
  const same = "import('listenfds').then((module) => console.log(module === require('listenfds')));";
  const folder = project(t, { 'main.cjs': required, 'same.cjs': same });
  t.equal(await run(t, folder, 'same.cjs').json(), true);
  await adopts(t, (activation) => run(t, folder, 'main.cjs', activation));
});

row('Two copies of the package', 'work as one: what one has taken is taken for the other', false, async (t) => {
  const source = `import { listenFds } from 'listenfds';
    import * as other from 'other';
    const [mine] = listenFds(), [theirs] = other.listenFds();
    theirs.take();
    try { mine.take(); } catch (error) {
      console.log(JSON.stringify({ code: error.code, known: error instanceof other.ListenFdsError, taken: mine.taken }));
    }`;
  const folder = project(t, { 'main.mjs': source });
  copyPackage(join(folder, 'node_modules/other'));
  const running = run(t, folder, 'main.mjs', { fds: ['tcp()'] });
  t.strictSame(await running.json(), { code: 'LISTENFDS_TAKEN', known: true, taken: true });
});

row('Bundled by esbuild, listenfds external', 'works', false, async (t) => {
  const folder = project(t, { 'main.mjs': adopt });
  const outfile = join(folder, 'bundle.mjs');
  await build({
    entryPoints: [join(folder, 'main.mjs')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['listenfds'],
  });
  await adopts(t, (activation) => run(t, folder, 'bundle.mjs', activation));
});

for (const format of ['esm', 'cjs'] as const) {
  row(
    `Bundled by esbuild as ${format === 'esm' ? 'ESM' : 'CommonJS'}, listenfds inside`,
    'binds; adopts when `prebuilds` is copied to where the error says',
    false,
    async (t) => {
      const file = format === 'esm' ? 'bundle.mjs' : 'bundle.cjs';
      const source = `import { listen, drain } from 'listenfds';
        listen(${serveIt}, { port: 0, host: '127.0.0.1', mismatch: 'ignore' }).then(async ({ source, server }) => {
          await drain(server);
          console.log(JSON.stringify({ source }));
        }, (error) => ${answer()});`;
      const folder = join(temporaryFolder(t), 'dist');
      mkdirSync(folder);
      cpSync(project(t, { 'main.mjs': source }), folder, { recursive: true });
      // import.meta is empty in CommonJS, as esbuild warns.
      await build({
        entryPoints: [join(folder, 'main.mjs')],
        outfile: join(folder, file),
        bundle: true,
        platform: 'node',
        format,
        logLevel: 'error',
      });
      t.strictSame(await run(t, folder, file).json(), { source: 'bound' });
      const { code, message } = await run(t, folder, file, { fds: ['tcp()'] }).json();
      t.equal(code, 'LISTENFDS_NO_ADDON');
      const [, copy = ''] = / copy node_modules\/listenfds\/prebuilds to (\S+)\. /.exec(message) ?? [];
      t.equal(copy, join(folder, '../prebuilds'), 'beside the folder of the bundle');
      shipAddon(copy);
      t.match(await run(t, folder, file, { fds: ['tcp()'] }).json(), { source: 'inherited' });
    },
  );
}

row('Node.js 18', 'fails, and says which Node.js it needs', noRuntimes, async (t) => {
  const folder = project(t, { 'main.mjs': 'import "listenfds"' });
  for (const args of [['main.mjs'], ['node_modules/listenfds/dist/cli.js', '--help']]) {
    const { code, stderr } = await activate(t, [await nodeBinary(18), ...args], { cwd: folder }).ended;
    t.match([code, stderr], [1, /Error: listenfds needs Node\.js 20\.19, 22\.12 or newer\. This is v18\./]);
  }
});

row('Worker thread', '`LISTENFDS_WORKER_THREAD` if descriptors were passed, else binds', false, async (t) => {
  const worker = `import { parentPort } from 'node:worker_threads';
        import { listen, listenFds } from 'listenfds';
    const attempt = async (call) => { try { return (await call()).source; } catch (error) { return error.code; } };
    const listened = await attempt(() => listen(${serveIt}, { port: 0, host: '127.0.0.1' }));
    parentPort.postMessage([await attempt(listenFds), listened]);`;
  const main = `import { Worker } from 'node:worker_threads';
    new Worker(new URL('./worker.mjs', import.meta.url)).on('message', (message) => {
      console.log(JSON.stringify(message));
      process.exit();
    });`;
  const folder = project(t, { 'main.mjs': main, 'worker.mjs': worker });
  t.strictSame(await run(t, folder, 'main.mjs').json(), ['LISTENFDS_WORKER_THREAD', 'bound']);
  const activated = run(t, folder, 'main.mjs', { fds: ['tcp()'] });
  t.strictSame(await activated.json(), ['LISTENFDS_WORKER_THREAD', 'LISTENFDS_WORKER_THREAD']);
});

row('Child process', 'sees nothing: variables removed, descriptors closed', false, async (t) => {
  const child = `import { fstatSync } from 'node:fs';
        import { listenFds } from 'listenfds';
    const isSocket = (fd) => { try { return fstatSync(fd).isSocket(); } catch { return false; } };
    console.log(JSON.stringify({ passed: listenFds(), sockets: [3, 4, 5].filter(isSocket) }));`;
  const main = `import { spawnSync } from 'node:child_process';
        import { listenFds } from 'listenfds';
    listenFds();
    spawnSync(process.execPath, ['child.mjs'], { stdio: 'inherit' });`;
  const folder = project(t, { 'main.mjs': main, 'child.mjs': child });
  const running = run(t, folder, 'main.mjs', { fds: ['tcp()', 'tcp()', 'udp()'] });
  t.strictSame(await running.json(), { passed: [], sockets: [] });
});

row('Child process, given a descriptor in `stdio`', "works with `listenFds({ pid: 'any' })`", false, async (t) => {
  const { fd, port } = await held(t);
  const child = `import { createServer } from 'node:http';
        import { listenFds } from 'listenfds';
    const [passed] = listenFds({ pid: 'any' });
    createServer(${serveIt}).listen({ fd: passed.take() }, () => console.log('{}'));`;
  const main = `import { spawn } from 'node:child_process';
        import { listenFds } from 'listenfds';
    const [passed] = listenFds();
    const env = { ...process.env, LISTEN_FDS: '1' };
    spawn(process.execPath, ['child.mjs'], { stdio: [0, 1, 2, passed.take()], env });`;
  const folder = project(t, { 'main.mjs': main, 'child.mjs': child });
  await run(t, folder, 'main.mjs', { fds: [fd] }).json();
  t.equal(await get(port), 'hello');
});

const executed = `import { listenFds } from 'listenfds';
  if (process.argv[2] === 'before') listenFds();
  if (process.argv[2] !== 'again') process.execve(process.execPath, [process.execPath, process.argv[1], 'again']);
  try { console.log(JSON.stringify(listenFds())); } catch (error) { ${answer()}; }`;

row('`process.execve()` after `listenFds()`', 'the new program sees nothing', noRuntimes, async (t) => {
  const { node } = await runtimes();
  const folder = project(t, { 'main.mjs': executed });
  const running = activate(t, [node, join(folder, 'main.mjs'), 'before'], { fds: ['tcp()'] });
  t.strictSame(await running.json(), []);
});

row(
  '`process.execve()` before `listenFds()`',
  '`LISTENFDS_NOT_OPEN` or `LISTENFDS_NOT_INHERITED`: Node.js has closed the descriptors',
  noRuntimes,
  async (t) => {
    const { node } = await runtimes();
    const folder = project(t, { 'main.mjs': executed });
    const { code } = await activate(t, [node, join(folder, 'main.mjs')], { fds: ['tcp()'] }).json();
    t.match(code, /^LISTENFDS_NOT_(OPEN|INHERITED)$/);
  },
);

async function singleExecutable(t: Test, source: string): Promise<string> {
  const { node } = await runtimes();
  const folder = project(t, {
    'main.cjs': source,
    'sea.json': JSON.stringify({ main: 'main.cjs', output: 'sea.blob', disableExperimentalSEAWarning: true }),
  });
  const program = join(folder, 'program');
  execFileSync(node, ['--experimental-sea-config', 'sea.json'], { cwd: folder, env: { PATH: process.env['PATH'] } });
  copyFileSync(node, program);
  const postject = join(await installed('runtimes'), 'node_modules/postject/dist/cli.js');
  const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
  const args = [postject, program, 'NODE_SEA_BLOB', 'sea.blob', '--sentinel-fuse', fuse];
  execFileSync(node, args, { cwd: folder, env: { PATH: process.env['PATH'] }, stdio: 'ignore' });
  return program;
}

row('Single executable, listenfds in node_modules beside it', 'works', noRuntimes, async (t) => {
  const program = await singleExecutable(
    t,
    `require = process.getBuiltinModule('node:module').createRequire(process.execPath);\n${required}`,
  );
  await adopts(t, (activation) => activate(t, [program], activation));
});

row(
  'Single executable, listenfds inside',
  'binds; `LISTENFDS_NO_ADDON` when something was passed',
  noRuntimes,
  async (t) => {
    const folder = project(t, { 'main.cjs': required });
    const { outputFiles } = await build({
      entryPoints: [join(folder, 'main.cjs')],
      write: false,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      logLevel: 'error',
    });
    const program = await singleExecutable(t, outputFiles[0]!.text);
    t.match(await activate(t, [program]).json(), { source: 'bound' });
    t.match(await activate(t, [program], { fds: ['tcp()'] }).json(), { code: 'LISTENFDS_NO_ADDON' });
  },
);

row('No addon for the platform', 'binds; `LISTENFDS_NO_ADDON` when something was passed', false, async (t) => {
  const folder = temporaryFolder(t);
  const copy = join(folder, 'node_modules/listenfds');
  for (const part of ['package.json', 'dist']) cpSync(join(root, part), join(copy, part), { recursive: true });
  const source = `import { drain, listen, notify } from 'listenfds';
    try {
      const path = process.argv[2];
      const { source, server } = await listen(${serveIt}, path ? { path } : { port: 0, host: '127.0.0.1' });
      console.log(JSON.stringify({ source, told: notify({ ready: true }) }));
      await drain(server);
    } catch (error) { ${answer()}; }`;
  writeFileSync(join(folder, 'main.mjs'), source);
  t.strictSame(await run(t, folder, 'main.mjs').json(), { source: 'bound', told: false });
  const onPath = activate(t, [process.execPath, join(folder, 'main.mjs'), join(folder, 'app.sock')]);
  t.strictSame(await onPath.json(), { source: 'bound', told: false });
  t.match(await run(t, folder, 'main.mjs', { fds: ['tcp()'] }).json(), { code: 'LISTENFDS_NO_ADDON' });
});

for (const platform of ['darwin', 'win32'] as const) {
  const where = platform === 'darwin' ? 'macOS' : 'Windows';
  row(
    where,
    `binds${platform === 'win32' ? ', named pipes included' : ''}; nothing is passed there`,
    false,
    async (t) => {
      const folder = temporaryFolder(t);
      const copy = join(folder, 'node_modules/listenfds');
      for (const part of ['package.json', 'dist']) cpSync(join(root, part), join(copy, part), { recursive: true });
      // What the library sees of the platform; what a pipe is then, the system underneath decides.
      const source = `Object.defineProperty(process, 'platform', { value: '${platform}' });
      const { listen, notify } = await import('listenfds');
      const { Server } = process.getBuiltinModule('node:net');
      const { listen: own } = Server.prototype;
      let path;
      Server.prototype.listen = function (options, ...rest) {
        path ??= options.path;
        return own.call(this, options.path ? { port: 0, host: '127.0.0.1' } : options, ...rest);
      };
      const { source } = await listen(${serveIt}, { port: 0, host: '127.0.0.1' });
      if (${platform === 'win32'}) await listen(${serveIt}, { path: '\\\\\\\\.\\\\pipe\\\\app' });
      console.log(JSON.stringify({ source, told: notify({ ready: true }), path }));
      process.exit();`;
      writeFileSync(join(folder, 'main.mjs'), source);
      const pipe = platform === 'win32' ? { path: '\\\\.\\pipe\\app' } : {};
      t.strictSame(await run(t, folder, 'main.mjs').json(), { source: 'bound', told: false, ...pipe });
    },
  );
}

const anywhere = [join(root, 'test/fixtures/adopt.js'), '{"mismatch":"ignore"}'];

row('Deno', 'works', noRuntimes, async (t) => {
  const { deno } = await runtimes();
  await adopts(t, (activation) => activate(t, [deno, 'run', '-A', ...anywhere], activation));
  const path = join(temporaryFolder(t), 'app.sock');
  const running = activate(t, [deno, 'run', '-A', ...anywhere], { fds: [`unix("${path}")`], env: { REPORT: 'serve' } });
  t.strictSame(await running.json(), { source: 'inherited', address: path });
  t.equal(await get(path), 'hello');
  running.child.kill('SIGTERM');
  t.match(await running.ended, { code: 0 });
});

row('Bun, `net.Server`', 'works', noRuntimes, async (t) => {
  const { bun } = await runtimes();
  for (const passed of ['tcp()', `unix("${join(temporaryFolder(t), 'app.sock')}")`]) {
    const running = activate(t, [bun, ...anywhere], { fds: [passed], env: { SERVER: 'net' } });
    t.match(await running.json(), { source: 'inherited' });
    await running.kill();
  }
});

row(
  'Bun, `http.Server`',
  '`LISTENFDS_WRONG_SOCKET`: Bun binds a port of its own, which is closed at once',
  noRuntimes,
  async (t) => {
    const { bun } = await runtimes();
    for (const REPORT of ['listen', 'serve']) {
      for (const passed of ['tcp()', `unix("${join(temporaryFolder(t), 'app.sock')}")`]) {
        const running = activate(t, [bun, ...anywhere], { fds: [passed], env: { REPORT } });
        t.match(await running.json(), { code: 'LISTENFDS_WRONG_SOCKET' });
        t.match(await running.ended, { code: 1 });
      }
    }
  },
);

const polling = `import * as sockets from 'listenfds/sockets';
  const [verb, address] = process.argv.slice(2);
  try {
    const { source } = await sockets[verb](...(address === undefined ? [] : [address]));
    console.log(JSON.stringify({ source }));
    process.exit();
  } catch (error) { ${answer()}; }`;

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;

/** Somebody to connect to. */
function listenUnix(t: Test, path: string, type: number): void {
  const fd = binding().openSocket(AF_UNIX, type, 0);
  t.teardown(() => closeSync(fd));
  t.equal(binding().bindUnix(fd, Buffer.from(path)), 0);
  t.equal(binding().listenSocket(fd, 1), 0);
}

/** The functions of libuv are there in Bun, and end the process: that a name is there says nothing. */
async function doesNotPoll(
  t: Test,
  folder: string,
  start: (args: readonly string[], activation?: Activation) => Activated,
): Promise<void> {
  const path = join(folder, 'socket');
  const listener = join(folder, 'listener');
  listenUnix(t, listener, SOCK_SEQPACKET);
  const cases: [verb: string, passed: string | number | null, bound: string | null][] = [
    ['listenDatagram', `unix_dgram("${path}-1")`, path],
    ['listenSequentialPacket', `unix_seqpacket("${path}-2")`, path],
    ['connectSequentialPacket', null, listener],
    ['listenNetlink', 'netlink()', 'route'],
    ['listenSpecial', 'special("/dev/zero")', '/dev/zero'],
    ['listenMessageQueue', null, `/lfd-bun-${process.pid}`],
  ];
  for (const [verb, passed, bound] of cases) {
    const expected = { code: 'LISTENFDS_UNSUPPORTED', message: /no event loop of libuv/ };
    if (bound !== null) t.match(await start([verb, bound]).json(), expected, `${verb}(), bound`);
    if (passed !== null) t.match(await start([verb], { fds: [passed] }).json(), expected, `${verb}(), passed`);
  }
  binding().unlinkMessageQueue(`/lfd-bun-${process.pid}`);
  t.notOk(existsSync(path), 'what was bound for nothing is gone');
  t.match(await start(['listenDatagram', '127.0.0.1:0']).json(), { source: 'bound' }, 'UDP works');
}

const noPolling = '`LISTENFDS_UNSUPPORTED`: Bun does not poll';

row('Bun, whatever is not TCP, UDP or a unix stream', noPolling, noRuntimes, async (t) => {
  const { bun } = await runtimes();
  const folder = project(t, { 'main.mjs': polling });
  await doesNotPoll(t, folder, (args, activation) => activate(t, [bun, join(folder, 'main.mjs'), ...args], activation));
});

row('Bun on musl, whatever is not TCP, UDP or a unix stream', noPolling, noRuntimes || noMusl, async (t) => {
  const { program, libraries } = await muslBun();
  const folder = temporaryFolder(t);
  await packageForMusl(folder);
  writeFileSync(join(folder, 'main.mjs'), polling);
  const env = { LD_LIBRARY_PATH: libraries };
  await doesNotPoll(t, folder, (args, activation) =>
    activate(t, [program, join(folder, 'main.mjs'), ...args], { ...activation, env }),
  );
});

row('Bun on musl, `net.Server`', 'works', noRuntimes || noMusl, async (t) => {
  const { program, libraries } = await muslBun();
  const folder = temporaryFolder(t);
  await packageForMusl(folder);
  cpSync(join(root, 'test/fixtures/adopt.js'), join(folder, 'adopt.mjs'));
  const running = activate(t, [program, join(folder, 'adopt.mjs'), '{"mismatch":"ignore"}'], {
    fds: ['tcp()'],
    env: { SERVER: 'net', LD_LIBRARY_PATH: libraries },
  });
  t.match(await running.json(), { source: 'inherited' });
  await running.kill();
});

t.test('docs/runtimes.md shows this', { buffered: false }, (t) => {
  checkTable(t, 'docs/runtimes.md', 'runtimes', ['Where', 'What happens'], rows);
  t.end();
});
