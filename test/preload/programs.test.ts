// Programs as their authors publish them, run with the preload and nothing else: they take the socket they were passed,
// answer, say READY=1 through the preload and are restarted under load.
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, root, type Activated } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';
import { load } from '../support/load.ts';
import { installed, noRuntimes, runtimes } from '../support/programs.ts';
import { receive } from '../support/receiver.ts';
import { checkTable } from '../support/table.ts';

interface Program {
  /** Its folder in test/programs/. */
  readonly name: string;
  /** The package whose version is shown. */
  readonly npm: string;
  readonly title: string;
  readonly command: (port: number, folder: string) => readonly string[];
  /** @default true */
  readonly preload?: false;
  /** It takes HOST and PORT from the environment. */
  readonly env?: boolean;
  readonly path?: string;
  /** What it is told of an address that is not its own; node-red binds all interfaces. */
  readonly mismatch?: 'ignore';
  /** It has a handler for SIGTERM. */
  readonly ownHandler?: true;
  readonly expected?: RegExp;
}

const host = '127.0.0.1';

const programs: readonly Program[] = [
  {
    name: 'next',
    ownHandler: true,
    npm: 'next',
    title: 'Next.js, `next start`',
    command: (port) => ['node_modules/next/dist/bin/next', 'start', '-p', `${port}`, '-H', host],
  },
  {
    name: 'next',
    npm: 'next',
    title: 'Next.js, custom server: `serve(next())`, no preload',
    command: () => ['custom-server.js'],
    env: true,
    preload: false,
  },
  {
    name: 'nitro',
    ownHandler: true,
    npm: 'nitropack',
    title: 'Nitro',
    command: () => ['.output/server/index.mjs'],
    env: true,
  },
  {
    name: 'nuxt',
    ownHandler: true,
    npm: 'nuxt',
    title: 'Nuxt',
    command: () => ['.output/server/index.mjs'],
    env: true,
  },
  {
    name: 'sveltekit',
    ownHandler: true,
    npm: '@sveltejs/adapter-node',
    title: 'SvelteKit, adapter-node',
    command: () => ['build/index.js'],
    env: true,
  },
  { name: 'astro', npm: 'astro', title: 'Astro, standalone', command: () => ['dist/server/entry.mjs'], env: true },
  {
    name: 'react-router',
    ownHandler: true,
    npm: '@react-router/serve',
    title: 'react-router-serve',
    command: () => ['node_modules/@react-router/serve/bin.cjs', 'build/server/index.js'],
    env: true,
  },
  {
    name: 'http-server',
    ownHandler: true,
    npm: 'http-server',
    title: 'http-server',
    command: (port) => ['node_modules/http-server/bin/http-server', 'public', '-p', `${port}`, '-a', host],
  },
  {
    name: 'serve',
    ownHandler: true,
    npm: 'serve',
    title: 'serve',
    // It connects to its port first, and goes elsewhere where somebody answers, which is the manager.
    command: () => ['node_modules/serve/build/main.js', 'public', '-l', `tcp://${host}:1`],
    mismatch: 'ignore',
  },
  {
    name: 'json-server',
    npm: 'json-server',
    title: 'json-server',
    command: (port) => ['node_modules/json-server/lib/cli/bin.js', 'db.json', '--port', `${port}`, '--host', host],
    path: '/hello',
  },
  {
    name: 'node-red',
    ownHandler: true,
    npm: 'node-red',
    title: 'Node-RED',
    command: (port, folder) => ['node_modules/node-red/red.js', '-p', `${port}`, '-u', folder],
    expected: /Node-RED/,
    mismatch: 'ignore',
  },
  {
    name: 'verdaccio',
    ownHandler: true,
    npm: 'verdaccio',
    title: 'Verdaccio',
    command: (port, folder) => [
      'node_modules/verdaccio/bin/verdaccio',
      '--listen',
      `${host}:${port}`,
      '--config',
      join(folder, 'config.yaml'),
    ],
    path: '/-/ping',
    expected: /^\{\}/,
  },
];

const rows: string[][] = [];

async function prove(t: Test, program: Program): Promise<void> {
  const { node } = await runtimes();
  const folder = await installed(program.name, node);
  const { fd, port } = await held(t, host);
  const receiver = await receive(t);
  const data = temporaryFolder(t);
  const env: Record<string, string> = {
    NOTIFY_SOCKET: receiver.address,
    NODE_ENV: 'production',
    LISTENFDS_MODULE: join(root, 'dist/index.js'),
    NO_UPDATE_CHECK: '1', // by serve, of a registry
    HOME: data,
    LISTENFDS_DRAIN_TIMEOUT: '10s',
    LISTENFDS_MISMATCH: program.mismatch ?? 'warn',
    ...(program.env ? { HOST: host, PORT: String(port) } : {}),
  };
  if (program.name === 'verdaccio') copyFileSync(join(folder, 'config.yaml'), join(data, 'config.yaml'));
  const preload = program.preload === false ? [] : ['--import', join(root, 'dist/register.js')];
  const command = [node, ...preload, ...program.command(port, data)];

  const until = async (text: string, running: Activated): Promise<void> => {
    const ended = running.ended.then(({ stdout, stderr }) => `it ended:\n${stdout}${stderr}`);
    for (let heard = ''; !heard.startsWith(text);) {
      heard = await Promise.race([receiver.message().then((message) => message.text), ended]);
      if (heard.startsWith('it ended')) throw new Error(heard);
    }
  };
  const start = async (own: Record<string, string>): Promise<Activated> => {
    const running = activate(t, command, { fds: [fd], env: { ...env, ...own }, cwd: folder });
    await until('READY=1', running);
    return running;
  };
  /** Restarts it under load; what failed. */
  const restart = async (own: Record<string, string>): Promise<readonly string[]> => {
    const first = await start(own);
    const clients = load({ port, path: program.path ?? '/', expected: program.expected ?? /hello/ });
    await clients.more(20);
    first.child.kill('SIGTERM');
    await first.ended;
    const second = await start(own);
    await clients.more(20);
    await clients.stop();
    second.child.kill('SIGTERM');
    await second.ended;
    t.notMatch(first.stderr + second.stderr, /LISTENFDS_/);
    return clients.failures;
  };

  // A handler of its own that exits at once loses what is in flight, as it does without us.
  if (!program.ownHandler) t.strictSame(await restart({}), [], 'a restart under load lost nothing');
  t.strictSame(await restart({ LISTENFDS_DRAIN: 'first' }), [], 'with LISTENFDS_DRAIN=first it lost nothing');

  const manifest = join(folder, 'node_modules', program.npm, 'package.json');
  const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
  rows.push([program.title, version, program.ownHandler ? 'its own handler; 0 with `LISTENFDS_DRAIN=first`' : '0']);
}

t.setTimeout(1_800_000); // they are installed and built at the first run
t.jobs = 2;

for (const program of programs) {
  t.test(program.title, { skip: noRuntimes }, (t) => prove(t, program));
}

t.test('docs/preload.md shows this', { buffered: false, skip: noRuntimes }, (t) => {
  const header = ['Program', 'Version', 'Requests that a restart under load loses'];
  checkTable(t, 'docs/preload.md', 'programs', header, rows);
  t.end();
});
