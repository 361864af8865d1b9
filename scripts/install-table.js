// npm run test:install [-- TARBALL] [--only PATTERN]: installs the packed package as people do, and does what they do next: ci,
// rebuild, update, from a lock file, scripts on and off, in a workspace, from the tarball and from a registry of its own. With every
// package manager on every Node.js. After each step a program adopts a socket and answers a request. Compilers fail, and are an
// error if anything calls them. Prints a table and writes it into docs/install.md, unless --only left out some of it.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs, promisify } from 'node:util';
import { cached, cleanEnvironment, majors, nodeBinary } from './node-versions.js';
import { writeSection } from './page.js';

const run = promisify(execFile);
const project = resolve(import.meta.dirname, '..');

/** How each manager is started, and what is done with it, one step after the other, in one project. */
const npm = {
  program: (home) => join(home, 'node_modules/npm/bin/npm-cli.js'),
  steps: ['install', 'ci', 'rebuild', 'update', 'ci --omit=dev', 'ci --ignore-scripts'],
};
const pnpm = {
  program: (home) =>
    join(
      home,
      'node_modules/pnpm/bin',
      existsSync(join(home, 'node_modules/pnpm/bin/pnpm.mjs')) ? 'pnpm.mjs' : 'pnpm.cjs',
    ),
  steps: [
    'install',
    'install --frozen-lockfile',
    'rebuild',
    'update',
    'install --prod --frozen-lockfile',
    'install --frozen-lockfile --ignore-scripts',
  ],
};
const yarn1 = {
  program: (home) => join(home, 'node_modules/yarn/bin/yarn.js'),
  steps: ['install', 'install --frozen-lockfile', 'install --force', 'upgrade', 'install --ignore-scripts --force'],
};
const yarn = {
  version: ['@yarnpkg/cli-dist', '4'],
  program: (home) => join(home, 'node_modules/@yarnpkg/cli-dist/bin/yarn.js'),
  steps: ['install', 'install --immutable', 'rebuild', 'up listenfds', 'install --mode=skip-build'],
};
const yarnFiles = (linker) => ({
  '.yarnrc.yml': `nodeLinker: ${linker}\nenableScripts: true\nenableTelemetry: false\nenableGlobalCache: false\n`,
  'yarn.lock': '',
});

const managers = {
  ...Object.fromEntries(['10', '11', '12'].map((version) => [`npm ${version}`, { ...npm, version: ['npm', version] }])),
  ...Object.fromEntries(
    ['9', '10', '11', '12'].map((version) => [`pnpm ${version}`, { ...pnpm, version: ['pnpm', version] }]),
  ),
  'yarn 1': { ...yarn1, version: ['yarn', '1'] },
  'yarn 4, node-modules': { ...yarn, files: yarnFiles('node-modules') },
  'yarn 4, pnp': {
    ...yarn,
    files: yarnFiles('pnp'),
    node: ['--require', './.pnp.cjs', '--experimental-loader', './.pnp.loader.mjs', '--no-warnings'],
  },
};
/** Where the package comes from, or where the project is. */
const ways = {
  'from the tarball': {},
  'from a registry': { registry: true },
  'in a workspace, in a folder with spaces': {
    workspace: true,
    folder: 'a folder, with spaces',
    only: /^(npm 11|pnpm 11|yarn)/,
  },
};

const app = `
import { listen, describe } from 'listenfds';
const { source, name } = await listen((request, response) => response.end(\`hello from \${source} \${name}\`), 3000);
console.log('ready');
`;

/** Passes a listening socket on fd 3, asks, and tells what was answered. */
async function answer(folder, node, options) {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const child = spawn('sh', ['-c', 'LISTEN_PID=$$ exec "$@"', 'sh', node, ...options, 'app.js'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], LISTEN_FDS: '1', LISTEN_FDNAMES: 'web' },
    stdio: ['ignore', 'pipe', 'pipe', server._handle],
  });
  try {
    const failed = text(child.stderr);
    const first = await Promise.race([once(child.stdout, 'data').then(([data]) => String(data)), failed]);
    if (!first.startsWith('ready')) throw new Error(`the program failed: ${first}`);
    // Both have the socket: this process must not be the one that accepts.
    server.close();
    const client = connect({ port, host: '127.0.0.1' });
    client.end('GET / HTTP/1.0\r\n\r\n');
    const reply = await text(client);
    if (!reply.endsWith('hello from inherited web')) throw new Error(`it answered ${reply}`);
  } finally {
    child.kill('SIGKILL');
    server.close();
  }
}

/** A registry with this package alone. */
async function startRegistry(tarball) {
  const bytes = readFileSync(tarball);
  const { stdout } = await run('tar', ['-xzOf', tarball, 'package/package.json']);
  const manifest = JSON.parse(stdout);
  const server = createHttpServer((request, response) => {
    if (request.url.endsWith('.tgz')) return response.end(bytes);
    if (!request.url.startsWith('/listenfds')) return response.writeHead(404).end('{}');
    const url = `http://127.0.0.1:${server.address().port}/listenfds/-/listenfds-${manifest.version}.tgz`;
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    const shasum = createHash('sha1').update(bytes).digest('hex');
    const version = { ...manifest, dist: { tarball: url, integrity, shasum } };
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        name: 'listenfds',
        'dist-tags': { latest: manifest.version },
        versions: { [manifest.version]: version },
        time: { [manifest.version]: '2020-01-01T00:00:00.000Z' },
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, url: `http://127.0.0.1:${server.address().port}/`, version: manifest.version };
}

const compilers = ['cc', 'c++', 'gcc', 'g++', 'clang', 'clang++', 'make', 'python', 'python3', 'node-gyp'];

/** PATH with a node, and compilers that fail and leave a note. */
function makePath(work, node) {
  const bin = join(work, 'bin');
  mkdirSync(bin);
  symlinkSync(node, join(bin, 'node'));
  for (const name of compilers) {
    writeFileSync(join(bin, name), `#!/bin/sh\necho ${name} >>'${join(work, 'called')}'\nexit 1\n`, { mode: 0o755 });
  }
  return `${bin}:${process.env['PATH']}`;
}

function writeProject(folder, manager, way, dependency) {
  const manifest = { private: true, type: 'module', dependencies: { listenfds: dependency } };
  const own = way.workspace ? join(folder, 'packages/app') : folder;
  mkdirSync(own, { recursive: true });
  if (way.workspace) {
    const top = { name: 'top', private: true, workspaces: ['packages/*'] };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(top));
    writeFileSync(join(folder, 'pnpm-workspace.yaml'), "packages: ['packages/*']\n");
    Object.assign(manifest, { name: 'app', version: '1.0.0' });
  }
  writeFileSync(join(own, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(own, 'app.js'), app);
  for (const [name, content] of Object.entries(manager.files ?? {})) writeFileSync(join(folder, name), content);
  return own;
}

const refuses = /.*(?:requires at least|does not support|is incompatible with) Node.*|.*npm does not support.*/i;

/** Does all steps; the reason where the manager says that this Node.js is not for it, or what failed. */
async function cell(manager, way, home, major, source) {
  const node = await nodeBinary(major);
  const { engines = {} } = JSON.parse(readFileSync(resolve(home, manager.manifest), 'utf8'));
  const work = mkdtempSync(join(tmpdir(), 'listenfds-install-'));
  const folder = join(work, way.folder ?? 'project');
  let step = '';
  try {
    const own = writeProject(folder, manager, way, way.registry ? source.registry.version : `file:${source.tarball}`);
    writeFileSync(join(folder, '.npmrc'), `registry=${source.registry.url}\n`); // pnpm 12 reads no npm_config_registry
    const env = {
      ...cleanEnvironment(),
      PATH: makePath(work, node),
      HOME: work,
      XDG_CACHE_HOME: work,
      XDG_DATA_HOME: work,
      npm_config_cache: join(work, 'npm'),
      npm_config_registry: source.registry.url,
      npm_config_audit: 'false',
      npm_config_fund: 'false',
      npm_config_manage_package_manager_versions: 'false',
      YARN_NPM_REGISTRY_SERVER: source.registry.url,
      YARN_REGISTRY: source.registry.url,
      YARN_UNSAFE_HTTP_WHITELIST: '127.0.0.1',
      YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
      CI: 'true',
    };
    for (step of manager.steps) {
      const first = step === manager.steps[0] && manager.version[0] === 'pnpm' ? ['--no-frozen-lockfile'] : [];
      // `yarn up` is done where the dependency is.
      const cwd = step.startsWith('up ') ? own : folder;
      try {
        await run(node, [manager.program(home), ...step.split(' '), ...first], { cwd, env, timeout: 120_000 });
      } catch (error) {
        const output = `${error.stdout}${error.stderr}`;
        const said = refuses.exec(output)?.[0];
        if (said === undefined || step !== manager.steps[0]) throw new Error(output || error.message, { cause: error });
        return { result: 'none', note: `does not run on Node.js ${major}: it needs ${engines.node}`, said };
      }
      const called = join(work, 'called');
      if (existsSync(called)) throw new Error(`it called ${readFileSync(called, 'utf8').trim()}`);
      await answer(own, node, manager.node ?? []);
    }
    const modules = join(folder, 'node_modules');
    const installed = existsSync(modules)
      ? readdirSync(modules).filter((name) => !/^\.|^(?:listenfds|app)$/.test(name))
      : [];
    if (installed.length > 0) throw new Error(`it installed ${installed.join(', ')} as well`);
    return { result: 'works' };
  } catch (error) {
    return { result: 'fails', said: `${step}: ${error.message}` };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function pack() {
  const { stdout } = await run(process.execPath, ['scripts/pack.js', mkdtempSync(join(tmpdir(), 'listenfds-'))], {
    cwd: project,
  });
  return stdout.trim();
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: 'string' } } });
const tarball = positionals[0] ? resolve(positionals[0]) : await pack();
const source = { tarball, registry: await startRegistry(tarball) };
const rows = [];
const notes = [];
let failed = false;
for (const [label, manager] of Object.entries(managers)) {
  const [name, version] = manager.version;
  for (const [where, way] of Object.entries(ways)) {
    const title = `${label}, ${where}`;
    if (way.only?.test(label) === false || (values.only && !new RegExp(values.only).test(title))) continue;
    const home = await cached(`${name.replace(/\W+/g, '-')}-${version}`, { [name]: version });
    manager.manifest = join('node_modules', name, 'package.json');
    const exact = JSON.parse(readFileSync(join(home, manager.manifest), 'utf8')).version;
    const results = await Promise.all(majors.map((major) => cell(manager, way, home, major, source)));
    results.forEach(({ result, note, said }, column) => {
      if (result === 'fails') failed = true;
      if (said) console.error(`${title} on Node.js ${majors[column]}: ${said}`);
      if (note) notes.push(`${name} ${exact} ${note}.`);
    });
    rows.push([
      title.replace(label, `${label} (${exact})`),
      ...results.map(({ result }) => (result === 'none' ? '–' : result)),
    ]);
    console.error(rows.at(-1).join(' | '));
  }
}
source.registry.server.close();

const widths = majors.map(() => 5);
const first = Math.max(...rows.map(([label]) => label.length));
const line = ([label, ...cells]) =>
  `| ${label.padEnd(first)} | ${cells.map((text, column) => text.padEnd(widths[column])).join(' | ')} |`;
const versions = [];
for (const major of majors) {
  versions.push((await run(await nodeBinary(major), ['--version'])).stdout.trim().slice(1));
}
versions.forEach((version, column) => (widths[column] = Math.max(5, version.length)));
const table = [
  line(['Package manager', ...versions]),
  `| ${'-'.repeat(first)} | ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`,
  ...rows.map(line),
  ...(notes.length > 0 ? [''] : []),
  ...[...new Set(notes)].map((note) => `- ${note}`),
].join('\n');
console.log(table);

if (failed) process.exitCode = 1;
if (values.only) process.exit();
await writeSection(join(project, 'docs/install.md'), 'table', table);
