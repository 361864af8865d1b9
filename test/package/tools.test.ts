// Tools that programs are bundled and tested with: docs/tools.md has a row per test.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { cleanEnvironment } from '../../scripts/node-versions.js';
import { activate, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';
import { get } from '../support/http.js';
import { shipAddon } from '../support/package.ts';
import { installed } from '../support/programs.ts';
import { checkTable } from '../support/table.ts';

t.setTimeout(600_000); // the tools are installed at the first run
const rows: string[][] = [];
const modules = join(await installed('tools'), 'node_modules');

function row(tool: string, how: string, outcome: string, body: (t: Test) => Promise<void>): void {
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
    row(name, `${format}, listenfds external`, 'works', async (t) => {
      const folder = project(t, { 'main.js': program });
      bundle(folder, true, esm);
      await adopts(t, folder, file);
    });
    // webpack writes the path of each source into import.meta.url.
    const how =
      name === 'webpack' ? '`node_modules/listenfds` where it was' : '`prebuilds` beside the folder of the bundle';
    row(name, `${format}, listenfds inside, ${how}`, 'works', async (t) => {
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

const check = (expect: string): string => `
  const { server, source, url } = await listen((request, response) => response.end('hello'), { port: 0, host: '127.0.0.1' });
  const answer = await (await fetch(url)).text();
  server.close();
  ${expect}`;
const jestConfig = { 'jest.config.json': '{ "testEnvironment": "node", "transform": {} }' };

row('node:test', 'ES module', 'works', async (t) => {
  const text = `import test from 'node:test'; import assert from 'node:assert'; import { listen } from 'listenfds';
    test('serves', async () => {${check("assert.deepEqual([source, answer], ['bound', 'hello']);")}});`;
  t.match(tool(project(t, { 'a.test.mjs': text }), '--test', ['a.test.mjs']), /pass 1/);
});

row('node:test', 'CommonJS', 'works', async (t) => {
  const text = `const test = require('node:test'); const assert = require('node:assert'); const { listen } = require('listenfds');
    test('serves', async () => {${check("assert.deepEqual([source, answer], ['bound', 'hello']);")}});`;
  t.match(tool(project(t, { 'a.test.cjs': text }), '--test', ['a.test.cjs']), /pass 1/);
});

row('vitest', 'as it is', 'works', async (t) => {
  const text = `import { expect, test } from 'vitest'; import { listen } from 'listenfds';
    test('serves', async () => {${check("expect([source, answer]).toEqual(['bound', 'hello']);")}});`;
  const folder = project(t, { 'a.test.js': text });
  t.match(tool(folder, join(modules, 'vitest/vitest.mjs'), ['run', '--pool=forks']), /1 passed/);
});

const jest = join(modules, 'jest/bin/jest.js');
row('Jest', 'ES modules, `NODE_OPTIONS=--experimental-vm-modules`', 'works', async (t) => {
  const text = `import { expect, test } from '@jest/globals'; import { listen } from 'listenfds';
    test('serves', async () => {${check("expect([source, answer]).toEqual(['bound', 'hello']);")}});`;
  const folder = project(t, { ...jestConfig, 'a.test.js': text });
  symlinkSync(join(modules, '@jest'), join(folder, 'node_modules/@jest'));
  t.match(tool(folder, jest, ['--ci'], { NODE_OPTIONS: '--experimental-vm-modules' }), /Tests: +1 passed/);
});

row('Jest', 'CommonJS, `await import("listenfds")`, the same `NODE_OPTIONS`', 'works', async (t) => {
  const text = `test('serves', async () => {
    const { listen } = await import('listenfds');
    ${check("expect([source, answer]).toEqual(['bound', 'hello']);")}});`;
  const folder = project(t, { ...jestConfig, 'package.json': '{}', 'a.test.js': text });
  t.match(tool(folder, jest, ['--ci'], { NODE_OPTIONS: '--experimental-vm-modules' }), /Tests: +1 passed/);
});

row('Jest', 'CommonJS, `require("listenfds")`', 'fails: Jest requires no ES modules', async (t) => {
  const text = `test('serves', () => { require('listenfds'); });`;
  const folder = project(t, { ...jestConfig, 'package.json': '{}', 'a.test.js': text });
  t.throws(() => tool(folder, jest, ['--ci']), {
    message: /Must use import|Cannot use import statement|SyntaxError|ES Module/,
  });
});

t.test('docs/tools.md shows this', (t) => {
  checkTable(t, 'docs/tools.md', 'tools', ['Tool', 'How', 'What happens'], rows);
  t.end();
});
