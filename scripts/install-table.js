// Installs the packed package as people do, with every package manager on every Node.js, scripts off, and lets it adopt a
// socket and answer a request: `npm run test:install`. Prints a table and writes it into docs/install.md.
//
//   node scripts/install-table.js [TARBALL]        without a tarball it packs one
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { cached, cleanEnvironment, majors, nodeHome } from './node-versions.js';

const run = promisify(execFile);
const project = resolve(import.meta.dirname, '..');

/**
 * One row each: the package and the version of the manager, where its program is, how it installs, how it starts a program.
 */
const npm = {
  program: (home) => join(home, 'node_modules/npm/bin/npm-cli.js'),
  install: ['install', '--ignore-scripts', '--no-audit', '--no-fund'],
};
const pnpm = {
  program: (home) => join(home, 'node_modules/pnpm/bin/pnpm.mjs'),
  install: ['install', '--ignore-scripts'],
};
const yarn = {
  version: ['@yarnpkg/cli-dist', '4'],
  program: (home) => join(home, 'node_modules/@yarnpkg/cli-dist/bin/yarn.js'),
  install: ['install'],
};
const yarnrc = (linker) =>
  `nodeLinker: ${linker}\nenableScripts: false\nenableTelemetry: false\nenableGlobalCache: false\n`;

const managers = {
  'npm 11': { ...npm, version: ['npm', '11'] },
  'npm 12': { ...npm, version: ['npm', '12'] },
  'npm 12, its own default for scripts': { ...npm, version: ['npm', '12'], install: ['install', '--no-audit'] },
  'pnpm 11': { ...pnpm, version: ['pnpm', '11'] },
  'pnpm 12': { ...pnpm, version: ['pnpm', '12'] },
  'yarn 4, node-modules': { ...yarn, files: { '.yarnrc.yml': yarnrc('node-modules'), 'yarn.lock': '' } },
  'yarn 4, pnp': {
    ...yarn,
    files: { '.yarnrc.yml': yarnrc('pnp'), 'yarn.lock': '' },
    node: ['--require', './.pnp.cjs', '--experimental-loader', './.pnp.loader.mjs', '--no-warnings'],
  },
  'npm 11, in a folder with spaces': { ...npm, version: ['npm', '11'], folder: 'a folder, with spaces' },
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

/** Installs and runs; the reason where the manager says that this Node.js is not for it, or what failed. */
async function cell(manager, home, major, tarball) {
  const nodeFolder = await nodeHome(major);
  const node = join(nodeFolder, 'bin/node');
  const { engines } = JSON.parse(readFileSync(resolve(home, manager.manifest), 'utf8'));
  const work = mkdtempSync(join(tmpdir(), 'listenfds-install-'));
  const folder = join(work, manager.folder ?? 'project');
  const bin = join(work, 'bin');
  mkdirSync(folder);
  mkdirSync(bin);
  symlinkSync(node, join(bin, 'node'));
  try {
    const manifest = { private: true, type: 'module', dependencies: { listenfds: `file:${tarball}` } };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
    writeFileSync(join(folder, 'app.js'), app);
    for (const [name, content] of Object.entries(manager.files ?? {})) writeFileSync(join(folder, name), content);
    const env = {
      ...cleanEnvironment(),
      PATH: `${bin}:${process.env['PATH']}`,
      XDG_CACHE_HOME: work,
      XDG_DATA_HOME: work,
    };
    const refuses = /.*(?:requires at least|does not support) Node.*/;
    let said;
    try {
      const { stdout, stderr } = await run(node, [manager.program(home), ...manager.install], { cwd: folder, env });
      said = refuses.exec(`${stdout}${stderr}`)?.[0];
    } catch (error) {
      said = refuses.exec(`${error.stdout}${error.stderr}`)?.[0];
      if (said === undefined) throw new Error(`${error.stdout}${error.stderr}`, { cause: error });
      return { result: 'none', note: `does not run on Node.js ${major}: it needs ${engines.node}`, said };
    }
    await answer(folder, node, manager.node ?? []);
    return said
      ? { result: 'works', note: `works on Node.js ${major}, although it says it needs ${engines.node}`, said }
      : { result: 'works' };
  } catch (error) {
    return { result: 'fails', said: error.message };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function pack() {
  const { stdout } = await run('npm', ['pack', '--silent'], { cwd: project });
  return join(project, stdout.trim().split('\n').at(-1));
}

const tarball = process.argv[2] ? resolve(process.argv[2]) : await pack();
const rows = [];
const notes = [];
let failed = false;
for (const [label, manager] of Object.entries(managers)) {
  const [name, version] = manager.version;
  const home = await cached(`${name.replace(/\W+/g, '-')}-${version}`, { [name]: version });
  manager.manifest = join('node_modules', name, 'package.json');
  const exact = JSON.parse(readFileSync(join(home, manager.manifest), 'utf8')).version;
  const cells = [];
  for (const major of majors) {
    const { result, note, said } = await cell(manager, home, major, tarball);
    if (result === 'fails') failed = true;
    if (said) console.error(`${label} on Node.js ${major}: ${said}`);
    if (note) notes.push(`${name} ${exact} ${note}.`);
    cells.push(result === 'none' ? '–' : result);
  }
  rows.push([`${label} (${exact})`, ...cells]);
}

const widths = majors.map(() => 5);
const first = Math.max(...rows.map(([label]) => label.length));
const line = ([label, ...cells]) =>
  `| ${label.padEnd(first)} | ${cells.map((text, column) => text.padEnd(widths[column])).join(' | ')} |`;
const versions = [];
for (const major of majors) {
  versions.push((await run(join(await nodeHome(major), 'bin/node'), ['--version'])).stdout.trim().slice(1));
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

const page = join(project, 'docs/install.md');
const [start, end] = ['<!-- table -->', '<!-- end of table -->'];
const content = readFileSync(page, 'utf8');
const [before, rest] = content.split(start);
writeFileSync(page, `${before}${start}\n\n${table}\n\n${end}${rest.split(end)[1]}`);
if (failed) process.exitCode = 1;
