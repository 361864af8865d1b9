// npm run test:install [-- TARBALL] [--only PATTERN]: installs the packed package as people do, and does what they do next: ci,
// rebuild, update, from a lock file, scripts on and off, in a workspace, in a layer of a container, from the tarball and from a registry
// of its own. With every package manager on every Node.js. After each step a program adopts a socket and answers a request. Compilers
// fail, and are an error if anything calls them. Prints the rows, and writes all of them into docs/install.md once every row was
// tried with the same package, be it in several runs with --only.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import {
  cpSync,
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
import { basename, join, relative, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs, promisify } from 'node:util';
import { managers, ways } from './package-managers.js';
import { cache, cached, cleanEnvironment, majors, nodeBinary } from './node-versions.js';
import { writeSection } from './page.js';

const run = promisify(execFile);
const project = resolve(import.meta.dirname, '..');

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

/** A folder for PATH with node, and compilers that fail and leave a note. */
function makeTools(work, node) {
  const bin = join(work, 'bin');
  mkdirSync(bin);
  symlinkSync(node, join(bin, 'node'));
  for (const name of compilers) {
    writeFileSync(join(bin, name), `#!/bin/sh\necho ${name} >>'${join(work, 'called')}'\nexit 1\n`, { mode: 0o755 });
  }
  return bin;
}

/** Returns the folder of the program, where the dependency is. */
function writeProject(folder, manager, way, source) {
  const listenfds = way.registry ? source.registry.version : `file:./${basename(source.tarball)}`;
  const manifest = { private: true, type: 'module', dependencies: { listenfds } };
  const own = way.workspace ? join(folder, 'packages/app') : folder;
  mkdirSync(own, { recursive: true });
  if (!way.registry) cpSync(source.tarball, join(own, basename(source.tarball)));
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

/** What a package manager is told by its environment; it keeps everything in `home`. */
function environment(home, path, registry) {
  return {
    ...cleanEnvironment(),
    PATH: path,
    HOME: home,
    XDG_CACHE_HOME: home,
    XDG_DATA_HOME: home,
    npm_config_cache: join(home, 'npm'),
    npm_config_registry: registry,
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_manage_package_manager_versions: 'false',
    YARN_NPM_REGISTRY_SERVER: registry,
    YARN_REGISTRY: registry,
    YARN_UNSAFE_HTTP_WHITELIST: '127.0.0.1',
    YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
    CI: 'true',
  };
}

/** As a Containerfile does it: COPY the manifests and the lock file, install, COPY the rest. */
function copyToLayer(folder, layer) {
  const left = /(?:^|\/)(?:node_modules|\.yarn|\.pnp\.\w+|app\.js)$/;
  cpSync(folder, layer, { recursive: true, filter: (path) => !left.test(path) });
}

const refuses = /.*(?:requires at least|does not support|is incompatible with) Node.*|.*npm does not support.*/i;
/** What package managers say of a package with scripts that they do not run. */
const blocked = /(?:ignored|blocked|approve)[^\n]*(?:scripts?|builds?)/i;

/** Does all steps; the reason where the manager says that this Node.js is not for it, or what failed. */
async function cell(manager, way, home, major, source) {
  const node = await nodeBinary(major);
  const { engines = {} } = JSON.parse(readFileSync(resolve(home, manager.manifest), 'utf8'));
  const work = mkdtempSync(join(tmpdir(), 'listenfds-install-'));
  const folder = join(work, way.folder ?? 'project');
  const layer = join(work, 'layer', way.folder ?? 'project');
  const bin = makeTools(work, node);
  let step = '';

  /** One command, after which the program in `own` has to work. */
  const perform = async (command, cwd, top, own, env) => {
    const { stdout, stderr } = await run(node, [manager.program(home), ...command.split(' ')], {
      cwd,
      env,
      timeout: 300_000, // ten times what it takes
    });
    const called = join(work, 'called');
    if (existsSync(called)) throw new Error(`it called ${readFileSync(called, 'utf8').trim()}`);
    const said = blocked.exec(`${stdout}${stderr}`)?.[0];
    if (said && !/ignore-scripts|skip-build/.test(command)) throw new Error(`it speaks of scripts: ${said}`);
    await answer(own, node, manager.node?.(top) ?? []);
  };

  try {
    const own = writeProject(folder, manager, way, source);
    writeFileSync(join(folder, '.npmrc'), `registry=${source.registry.url}\n`); // pnpm 12 reads no npm_config_registry
    const env = environment(work, `${bin}:${process.env['PATH']}`, source.registry.url);
    for (step of manager.steps) {
      const isFirst = step === manager.steps[0];
      const first = isFirst && manager.version[0] === 'pnpm' ? ' --no-frozen-lockfile' : '';
      // `yarn up` is done where the dependency is.
      const cwd = step.startsWith('up ') ? own : folder;
      try {
        await perform(`${step}${first}`, cwd, folder, own, env);
      } catch (error) {
        const output = `${error.stdout ?? ''}${error.stderr ?? ''}`;
        const said = refuses.exec(output)?.[0];
        if (said === undefined || !isFirst) throw new Error(output || error.message, { cause: error });
        return { result: 'none', note: `does not run on Node.js ${major}: it needs ${engines.node}`, said };
      }
    }
    const modules = join(folder, 'node_modules');
    const installed = existsSync(modules)
      ? readdirSync(modules).filter((name) => !/^\.|^(?:listenfds|app)$/.test(name))
      : [];
    if (installed.length > 0) throw new Error(`it installed ${installed.join(', ')} as well`);

    step = `in a layer, ${manager.layer}`;
    copyToLayer(folder, layer);
    // Nothing there but node and a shell.
    symlinkSync('/bin/sh', join(bin, 'sh'));
    const ownInLayer = join(layer, relative(folder, own));
    writeFileSync(join(ownInLayer, 'app.js'), app);
    await perform(manager.layer, layer, layer, ownInLayer, environment(join(work, 'layer'), bin, source.registry.url));
    return { result: 'works' };
  } catch (error) {
    const said = `${error.stdout ?? ''}${error.stderr ?? ''}${error.message}`;
    return { result: 'fails', said: `${step}: ${said.slice(0, 600)}` };
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
const versions = [];
for (const major of majors) {
  versions.push((await run(await nodeBinary(major), ['--version'])).stdout.trim().slice(1));
}

/** What was tried with this package on these Node.js, a row each: a run may do some of them. */
const keptIn = join(cache, 'install.json');
const about = { package: createHash('sha256').update(readFileSync(tarball)).digest('hex'), versions };
function readKept() {
  const kept = existsSync(keptIn) ? JSON.parse(readFileSync(keptIn, 'utf8')) : {};
  return JSON.stringify(kept.about) === JSON.stringify(about) ? kept.rows : {};
}

const titles = [];
for (const [label, manager] of Object.entries(managers)) {
  const [name, version] = manager.version;
  for (const [where, way] of Object.entries(ways)) {
    const title = `${label}, ${where}`;
    titles.push(title);
    if (values.only && !new RegExp(values.only).test(title)) continue;
    const home = await cached(`${name.replace(/\W+/g, '-')}-${version}`, { [name]: version });
    manager.manifest = join('node_modules', name, 'package.json');
    const exact = JSON.parse(readFileSync(join(home, manager.manifest), 'utf8')).version;
    const results = await Promise.all(majors.map((major) => cell(manager, way, home, major, source)));
    results.forEach(({ result, said }, column) => {
      if (result === 'fails') process.exitCode = 1;
      if (said) console.error(`${title} on Node.js ${majors[column]}: ${said}`);
    });
    const cells = [`${label} (${exact}), ${where}`, ...results.map(({ result }) => (result === 'none' ? '–' : result))];
    console.log(`| ${cells.join(' | ')} |`);
    const notes = results.flatMap(({ note }) => (note ? [`- ${name} ${exact} ${note}.`] : []));
    writeFileSync(keptIn, JSON.stringify({ about, rows: { ...readKept(), [title]: { cells, notes } } }));
  }
}
source.registry.server.close();

const rows = readKept();
const missing = titles.filter((title) => !rows[title]);
if (missing.length > 0) {
  console.error(`docs/install.md stays as it is until this package was tried with: ${missing.join('; ')}`);
} else {
  const all = titles.map((title) => rows[title]);
  const lines = [
    ['Package manager', ...versions],
    ['', ...versions].map(() => '---'),
    ...all.map(({ cells }) => cells),
  ];
  const notes = [...new Set(all.flatMap((row) => row.notes))];
  const table = [...lines.map((cells) => `| ${cells.join(' | ')} |`), ...(notes.length > 0 ? ['', ...notes] : [])];
  await writeSection(join(project, 'docs/install.md'), 'table', table.join('\n'));
}
