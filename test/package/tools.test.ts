// Tools that programs are bundled and tested with: docs/tools.md has a row per test.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { cleanEnvironment } from '../../scripts/node-versions.js';
import { activate, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';
import { get, getJson } from '../support/http.js';
import { shipAddon } from '../support/package.ts';
import { freePort } from '../support/port.ts';
import { installed } from '../support/programs.ts';
import { checkTable } from '../support/table.ts';

t.setTimeout(600_000); // the tools are installed at the first run
const rows: string[][] = [];
const modules = join(await installed('tools'), 'node_modules');

function row(t: Test, tool: string, how: string, outcome: string, body: (t: Test) => Promise<void>): void {
  t.test(`${tool}, ${how}: ${outcome}`, async (t) => {
    await body(t);
    if (t.passing()) rows.push([tool, how, outcome]);
  });
}

/** A program, with this package and the tools in its node_modules; an addon that is shipped is in prebuilds/. */
function project(t: Test, files: Readonly<Record<string, string>>): string {
  const folder = join(temporaryFolder(t), 'project');
  const own = join(folder, 'node_modules/listenfds');
  mkdirSync(own, { recursive: true });
  for (const part of ['package.json', 'dist', 'native']) cpSync(join(root, part), join(own, part), { recursive: true });
  shipAddon(join(own, 'prebuilds'));
  for (const tool of ['jest', 'tsup', 'vitest', 'webpack', 'typescript']) {
    symlinkSync(join(modules, tool), join(folder, 'node_modules', tool));
  }
  for (const [file, text] of Object.entries({ 'package.json': '{ "type": "module" }', ...files })) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  return folder;
}

/** The code that docs/tools.md shows below a heading: it is tested as it is there. */
function recipe(heading: string): string[] {
  const page = readFileSync(join(root, 'docs/tools.md'), 'utf8');
  const [, section = ''] = page.split(new RegExp(`^## ${heading}$`, 'im'));
  return [...section.split(/^## /m)[0]!.matchAll(/^```\w+\n(.*?)^```$/gms)].map(([, code]) => code!);
}

/** Runs a tool in the project; its loaders are its own, not tap's. */
function tool(folder: string, script: string, args: readonly string[], env: Record<string, string> = {}): string {
  const command = [
    '-i',
    ...Object.entries({ ...cleanEnvironment(), ...env }).map(([name, value]) => `${name}=${value}`),
  ];
  const { status, stdout, stderr } = spawnSync('env', [...command, process.execPath, script, ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${stdout}${stderr}`);
  return `${stdout}${stderr}`;
}

const program = `import { listen } from 'listenfds';
listen((request, response) => response.end('hello'), { mismatch: 'ignore' }).then(
  ({ source }) => console.log(JSON.stringify({ source })),
  ({ code, message }) => console.log(JSON.stringify({ code, message })),
);
`;

async function adopts(t: Test, folder: string, file: string): Promise<void> {
  const { fd, port } = await held(t);
  const running = activate(t, [process.execPath, join(folder, file)], { fds: [fd], cwd: folder });
  const outcome = await running.json();
  if (t.match(outcome, { source: 'inherited' }, String(outcome.message))) t.equal(await get(port), 'hello');
}

async function badVariable(t: Test, folder: string, file: string): Promise<string> {
  const running = activate(t, [process.execPath, join(folder, file)], { env: { LISTENFDS: 'always' }, cwd: folder });
  return (await running.json()).message as string;
}

const bundlers: Record<string, (folder: string, external: boolean, esm: boolean) => void> = {
  esbuild(folder, external, esm) {
    const script = join(root, 'node_modules/esbuild/bin/esbuild');
    const format = esm ? 'esm' : 'cjs';
    const args = [
      'main.js',
      '--bundle',
      '--platform=node',
      `--format=${format}`,
      `--outfile=out/main.${esm ? 'm' : 'c'}js`,
    ];
    // It warns that import.meta is empty in CommonJS, which is known.
    execFileSync(script, [...args, '--log-level=error', ...(external ? ['--external:listenfds'] : [])], {
      cwd: folder,
    });
  },
  rollup(folder, external, esm) {
    writeFileSync(
      join(folder, 'rollup.config.js'),
      `export default {
        input: 'main.js',
        external: (id) => /^node:/.test(id) || (${external} && id === 'listenfds'),
        plugins: [{ name: 'resolve', resolveId: (id) => (id === 'listenfds' && !${external} ? ${JSON.stringify(join(folder, 'node_modules/listenfds/dist/index.js'))} : null) }],
        output: { dir: 'out', format: '${esm ? 'es' : 'cjs'}', entryFileNames: 'main.${esm ? 'm' : 'c'}js', chunkFileNames: '[name].${esm ? 'm' : 'c'}js' },
      };`,
    );
    tool(folder, join(root, 'node_modules/rollup/dist/bin/rollup'), ['-c', '--silent']);
  },
  webpack(folder, external, esm) {
    writeFileSync(
      join(folder, 'build.cjs'),
      `require('webpack')({
        mode: 'production', target: 'node20', entry: './main.js',
        externals: ${external} ? { listenfds: '${esm ? 'module' : 'commonjs'} listenfds' } : {},
        experiments: { outputModule: ${esm} },
        output: { path: __dirname + '/out', filename: 'main.${esm ? 'm' : 'c'}js', ${esm ? "module: true, library: { type: 'module' }," : ''} },
      }, (error, stats) => {
        if (error || stats.hasErrors()) { console.error(error ?? stats.toString()); process.exit(1); }
      });`,
    );
    tool(folder, 'build.cjs', []);
  },
  tsup(folder, external, esm) {
    // Dependencies are external if package.json names them.
    writeFileSync(join(folder, 'package.json'), '{ "type": "module", "dependencies": { "listenfds": "*" } }');
    const options = {
      entry: ['main.js'],
      format: esm ? 'esm' : 'cjs',
      outDir: 'out',
      noExternal: external ? [] : ['listenfds'],
    };
    writeFileSync(join(folder, 'tsup.config.js'), `export default ${JSON.stringify(options)};`);
    tool(folder, join(modules, 'tsup/dist/cli-default.js'), []);
  },
};

for (const [name, bundle] of Object.entries(bundlers)) {
  for (const esm of [true, false]) {
    const format = esm ? 'ES module' : 'CommonJS';
    const file = name === 'tsup' ? `out/main.${esm ? '' : 'c'}js` : `out/main.${esm ? 'm' : 'c'}js`;
    row(t, name, `${format}, listenfds external`, 'works', async (t) => {
      const folder = project(t, { 'main.js': program });
      bundle(folder, true, esm);
      await adopts(t, folder, file);
    });
    // webpack writes the path of each source into import.meta.url.
    const how =
      name === 'webpack' ? '`node_modules/listenfds` where it was' : '`prebuilds` beside the folder of the bundle';
    row(t, name, `${format}, listenfds inside, ${how}`, 'works', async (t) => {
      const folder = project(t, { 'main.js': program });
      bundle(folder, false, esm);
      if (name !== 'webpack') {
        renameSync(join(folder, 'node_modules/listenfds/prebuilds'), join(folder, 'prebuilds'));
        rmSync(join(folder, 'node_modules'), { recursive: true });
      }
      await adopts(t, folder, file);
      if (name === 'webpack') return;
      t.match(
        await badVariable(t, folder, file),
        /must be \S+ \S+ or \S+\. \(docs\/errors\.md#listenfds_bad_environment\)$/,
      );
      cpSync(join(root, 'dist/errors.json'), join(folder, 'out/errors.json'));
      t.match(await badVariable(t, folder, file), /must be .*\. Correct it where this program is started/);
    });
  }
}

/** A project that Next.js builds: it follows no links out of it. */
function nextProject(t: Test, config: string): string {
  const folder = project(t, {
    'app/layout.js': 'export default ({ children }) => <html lang="en"><body>{children}</body></html>;',
    'app/page.js': 'export default () => <p>hello</p>;',
    'app/passed/route.js': `import { listenFds } from 'listenfds';
      export const dynamic = 'force-dynamic';
      export function GET() {
        try { return Response.json({ names: listenFds().map(({ name }) => name) }); }
        catch ({ code, message }) { return Response.json({ code, message }); }
      }`,
    'config.js': config,
    // Next.js takes a folder above for the workspace if that has a lock file.
    'next.config.js': `import config from './config.js';
      const root = import.meta.dirname ?? process.cwd();
      export default { ...config, outputFileTracingRoot: root, turbopack: { root } };`,
  });
  for (const name of ['jest', 'tsup', 'vitest', 'webpack', 'typescript']) rmSync(join(folder, 'node_modules', name));
  // Links to the files are enough where both folders are on one file system.
  if (spawnSync('cp', ['-al', `${next}/.`, join(folder, 'node_modules')]).status !== 0) {
    execFileSync('cp', ['-a', `${next}/.`, join(folder, 'node_modules')]);
  }
  tool(folder, join(folder, 'node_modules/next/dist/bin/next'), ['build'], { NEXT_TELEMETRY_DISABLED: '1' });
  return folder;
}

/** What the route answers in a server that was passed a socket. */
async function askNext(t: Test, folder: string, ...command: string[]): Promise<Record<string, unknown>> {
  const port = await freePort();
  const running = activate(t, [process.execPath, ...command], {
    fds: [(await held(t)).fd],
    names: ['web'],
    cwd: folder,
    env: { PORT: String(port), HOSTNAME: '127.0.0.1', NEXT_TELEMETRY_DISABLED: '1' },
  });
  while (!/Ready/.test(await running.line()));
  const answer = await getJson({ port, path: '/passed' });
  await running.kill();
  return answer;
}

const next = join(await installed('next'), 'node_modules');

t.test('Next.js, listenfds inside', async (t) => {
  const folder = nextProject(t, "export default { output: 'standalone' };");
  row(t, 'Next.js', '`next start`, listenfds inside, `node_modules/listenfds` where it was', 'works', async (t) => {
    t.strictSame(await askNext(t, folder, 'node_modules/next/dist/bin/next', 'start'), { names: ['web'] });
  });
  const how = "`output: 'standalone'`, listenfds inside, `prebuilds` copied to where the error says";
  row(t, 'Next.js', how, 'works', async (t) => {
    const deployed = join(temporaryFolder(t), 'deployed');
    renameSync(join(folder, '.next/standalone'), deployed);
    const { code, message } = await askNext(t, deployed, 'server.js');
    t.equal(code, 'LISTENFDS_NO_ADDON');
    const [, copy = ''] = / copy node_modules\/listenfds\/prebuilds to (\S+)\. /.exec(String(message)) ?? [];
    t.equal(copy, join(deployed, 'node_modules/listenfds/prebuilds'));
    shipAddon(copy);
    t.strictSame(await askNext(t, deployed, 'server.js'), { names: ['web'] });
  });
});

row(t, 'Next.js', "`output: 'standalone'`, listenfds external as shown below", 'works', async (t) => {
  const folder = nextProject(t, recipe('Next.js')[0]!);
  const deployed = join(temporaryFolder(t), 'deployed');
  renameSync(join(folder, '.next/standalone'), deployed);
  rmSync(folder, { recursive: true });
  t.strictSame(await askNext(t, deployed, 'server.js'), { names: ['web'] });
});

const check = (expect: string): string => `
  const { server, source, url } = await listen((request, response) => response.end('hello'), { port: 0, host: '127.0.0.1' });
  const answer = await (await fetch(url)).text();
  server.close();
  ${expect}`;
const jestConfig = { 'jest.config.json': '{ "testEnvironment": "node", "transform": {} }' };

row(t, 'node:test', 'ES module', 'works', async (t) => {
  const text = `import test from 'node:test'; import assert from 'node:assert'; import { listen } from 'listenfds';
    test('serves', async () => {${check("assert.deepEqual([source, answer], ['bound', 'hello']);")}});`;
  t.match(tool(project(t, { 'a.test.mjs': text }), '--test', ['a.test.mjs']), /pass 1/);
});

row(t, 'node:test', 'CommonJS', 'works', async (t) => {
  const text = `const test = require('node:test'); const assert = require('node:assert'); const { listen } = require('listenfds');
    test('serves', async () => {${check("assert.deepEqual([source, answer], ['bound', 'hello']);")}});`;
  t.match(tool(project(t, { 'a.test.cjs': text }), '--test', ['a.test.cjs']), /pass 1/);
});

row(t, 'vitest', 'as it is', 'works', async (t) => {
  const text = `import { expect, test } from 'vitest'; import { listen } from 'listenfds';
    test('serves', async () => {${check("expect([source, answer]).toEqual(['bound', 'hello']);")}});`;
  const folder = project(t, { 'a.test.js': text });
  t.match(tool(folder, join(modules, 'vitest/vitest.mjs'), ['run', '--pool=forks']), /1 passed/);
});

const jest = join(modules, 'jest/bin/jest.js');
row(t, 'Jest', 'ES modules, `NODE_OPTIONS=--experimental-vm-modules`', 'works', async (t) => {
  const text = `import { expect, test } from '@jest/globals'; import { listen } from 'listenfds';
    test('serves', async () => {${check("expect([source, answer]).toEqual(['bound', 'hello']);")}});`;
  const folder = project(t, { ...jestConfig, 'a.test.js': text });
  symlinkSync(join(modules, '@jest'), join(folder, 'node_modules/@jest'));
  t.match(tool(folder, jest, ['--ci'], { NODE_OPTIONS: '--experimental-vm-modules' }), /Tests: +1 passed/);
});

row(t, 'Jest', 'CommonJS, `await import("listenfds")`, the same `NODE_OPTIONS`', 'works', async (t) => {
  const text = `test('serves', async () => {
    const { listen } = await import('listenfds');
    ${check("expect([source, answer]).toEqual(['bound', 'hello']);")}});`;
  const folder = project(t, { ...jestConfig, 'package.json': '{}', 'a.test.js': text });
  t.match(tool(folder, jest, ['--ci'], { NODE_OPTIONS: '--experimental-vm-modules' }), /Tests: +1 passed/);
});

row(t, 'Jest', 'CommonJS, `require("listenfds")`', 'fails: Jest requires no ES modules', async (t) => {
  const text = `test('serves', () => { require('listenfds'); });`;
  const folder = project(t, { ...jestConfig, 'package.json': '{}', 'a.test.js': text });
  t.throws(() => tool(folder, jest, ['--ci']), {
    message: /Must use import|Cannot use import statement|SyntaxError|ES Module/,
  });
});

// Jest has CommonJS of its own, so what it requires has to be CommonJS; docs/tools.md shows the files.
row(t, 'Jest', 'CommonJS, `require("listenfds")`, made CommonJS by esbuild as shown below', 'works', async (t) => {
  const [transform, config] = recipe('jest');
  const text = `const { listen } = require('listenfds');
    test('serves', async () => {${check("expect([source, answer]).toEqual(['bound', 'hello']);")}});
    test('loads a room', async () => {
      const { listenDatagram } = require('listenfds/sockets');
      (await listenDatagram(__dirname + '/socket')).socket.close();
    });`;
  const folder = project(t, {
    'package.json': '{}',
    'a.test.js': text,
    'esbuild-transform.cjs': transform!,
    'jest.config.json': config!,
  });
  symlinkSync(join(root, 'node_modules/esbuild'), join(folder, 'node_modules/esbuild'));
  t.match(tool(folder, jest, ['--ci']), /Tests: +2 passed/);
});

/** Compiles with tsc, and returns the project. */
function compiled(t: Test, options: object, text: string): string {
  const compilerOptions = { strict: true, target: 'es2022', outDir: 'out', types: ['node'], skipLibCheck: true };
  const folder = project(t, {
    'package.json': '{}',
    'main.ts': text,
    'tsconfig.json': JSON.stringify({ compilerOptions: { ...compilerOptions, ...options }, files: ['main.ts'] }),
  });
  symlinkSync(join(root, 'node_modules/@types'), join(folder, 'node_modules/@types'));
  tool(folder, join(modules, 'typescript/bin/tsc'), ['-p', '.']);
  return folder;
}

for (const [how, options] of [
  ['`module: nodenext`', { module: 'nodenext' }],
  ['`module: node20`', { module: 'node20' }],
  ['`module: commonjs`', { module: 'commonjs' }],
] as const) {
  row(t, 'TypeScript', `CommonJS, ${how}`, 'works', async (t) => {
    await adopts(t, compiled(t, options, program), 'out/main.js');
  });
}

for (const module of ['node16', 'node18']) {
  row(t, 'TypeScript', `CommonJS, \`module: ${module}\`, \`await import("listenfds")\``, 'works', async (t) => {
    const inside = `async function main() { const { listen } = await import('listenfds');\n${program.replace(/^import .*\n/, '')}\n}\nmain();`;
    await adopts(t, compiled(t, { module }, inside), 'out/main.js');
  });
  row(t, 'TypeScript', `CommonJS, \`module: ${module}\`, \`import … from "listenfds"\``, 'fails: TS1479', async (t) => {
    t.throws(() => compiled(t, { module }, program), { message: /TS1479/ });
  });
}

t.test('docs/tools.md shows this', (t) => {
  checkTable(t, 'docs/tools.md', 'tools', ['Tool', 'How', 'What happens'], rows);
  t.end();
});
