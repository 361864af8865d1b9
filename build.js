// Bundles src/ into dist/. What a service needs to start, the core, is one file: each further ES module costs about a
// millisecond at every start, and each 20 kB of source half a millisecond, called or not. What is not always needed
// comes in files of its own, which are never loaded twice and never without the core:
// - rooms, ES modules that the core loads with a dynamic import, from functions that return a promise anyway;
// - late sources, whose functions return at once: the core has a stub for each, which loads the file when it is called.
// Both take the core from src/internal.ts, which becomes the object `internal` that dist/index.js exports.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { build } from 'esbuild';

/** source → file in dist/ */
const rooms = {
  'src/lend/room.ts': 'lend.js',
  'src/service/room.ts': 'service.js',
  'src/sockets/room.ts': 'sockets.js',
  'src/stored-listener.ts': 'stored-listener.js',
  'src/spawn.ts': 'spawn.js',
  'src/cli/main.ts': 'cli.js',
  'src/framework-shapes.ts': 'framework-shapes.js',
};

/** file in dist/ → sources; what they export besides functions and numbers stays inside */
const late = {
  'manager.cjs': ['src/notify.ts', 'src/notify-state.ts', 'src/watchdog.ts', 'src/fd-store.ts'],
  'peers.cjs': ['src/predicates.ts', 'src/peer.ts', 'src/authorize.ts'],
};

const core = 'src/index.ts';
const roomOf = new Map(Object.entries(rooms).map(([source, file]) => [resolve(source), file]));
const lateOf = new Map(
  Object.entries(late).flatMap(([file, sources]) => sources.map((source) => [resolve(source), file])),
);

const shared = {
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  minifySyntax: true,
  legalComments: 'none',
  sourcemap: true,
  logLevel: 'warning',
};

/** What stands in the core for a late source: its functions as stubs, its numbers as they are. */
function stubs(source) {
  const file = JSON.stringify(lateOf.get(source));
  const text = readFileSync(source, 'utf8');
  const functions = [...text.matchAll(/^export (?:async )?function (\w+)/gm)].map(([, name]) => name);
  return [
    `import { load } from 'load';`,
    ...[...new Set(functions)].map(
      (name) => `export function ${name}() { return load(${file}).${name}.apply(this, arguments); }`,
    ),
    ...(text.match(/^export const \w+ = \d+;$/gm) ?? []),
  ].join('\n');
}

const load = `
import { internal } from ${JSON.stringify(resolve(core))};
const loaded = {};
export const load = (file) =>
  (loaded[file] ??= process.getBuiltinModule('node:module').createRequire(import.meta.url)('./' + file)(internal));`;

/** The core: stubs for late sources, and `internal`. */
const coreParts = {
  name: 'core',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\.?\/.*\.js$/ }, ({ path, resolveDir, kind }) => {
      const file = roomOf.get(resolve(resolveDir, path.replace(/\.js$/, '.ts')));
      if (kind === 'dynamic-import' && file) return { path: `./${file}`, external: true };
    });
    onResolve({ filter: /^load$/ }, ({ path }) => ({ path, namespace: 'load' }));
    onLoad({ filter: /.*/, namespace: 'load' }, () => ({ contents: load, resolveDir: 'src' }));
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      if (lateOf.has(path)) return { contents: stubs(path), resolveDir: 'src' };
      if (path !== resolve(core)) return;
      // A namespace object would be built of getters, one by one, at every start: 0.2 ms more than a plain object.
      const contents = readFileSync(path, 'utf8').replace(
        "export * as internal from './internal.js';",
        () => `import { ${names} } from './internal.js';\nexport const internal = { ${names} };`,
      );
      return { contents, loader: 'ts' };
    });
  },
};

/** What is outside the core: it takes the core's parts from `internal`, which `importInternal` brings in. */
function outside(importInternal, sources) {
  const own = new Set(sources.map((source) => resolve(source)));
  return {
    name: 'outside',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.\.?\/.*\.js$/ }, ({ path, resolveDir, kind, namespace }) => {
        if (namespace === 'core') return { path, external: true };
        const source = resolve(resolveDir, path.replace(/\.js$/, '.ts'));
        if (kind === 'dynamic-import' && roomOf.has(source)) return { path: `./${roomOf.get(source)}`, external: true };
        const isCore = own.size > 0 ? !own.has(source) : source === resolve('src/internal.ts');
        if (isCore) return { path: 'internal', namespace: 'core' };
      });
      onLoad({ filter: /.*/, namespace: 'core' }, () => {
        const lines = names.map((name) => `export const ${name} = internal.${name};`);
        return { contents: [importInternal, ...lines].join('\n'), resolveDir: 'dist' };
      });
    },
  };
}

let names = [];
const { metafile } = await build({
  ...shared,
  entryPoints: ['src/internal.ts'],
  write: false,
  metafile: true,
  plugins: [coreParts],
});
names = Object.values(metafile.outputs).find(({ entryPoint }) => entryPoint)?.exports;

await build({ ...shared, entryPoints: [core], plugins: [coreParts] });
await build({ ...shared, entryPoints: ['src/register.ts'] });

for (const [source, file] of Object.entries(rooms)) {
  await build({
    ...shared,
    entryPoints: [source],
    entryNames: basename(file, '.js'),
    plugins: [outside(`import { internal } from './index.js';`, [])],
  });
}

for (const [file, sources] of Object.entries(late)) {
  await build({
    ...shared,
    stdin: { contents: sources.map((source) => `export * from './${source}';`).join('\n'), resolveDir: '.' },
    outdir: undefined,
    outfile: `dist/${file}`,
    format: 'iife',
    globalName: 'exported',
    banner: { js: 'module.exports = (internal) => {' },
    footer: { js: 'return exported;\n};' },
    plugins: [outside('', sources)],
  });
}
chmodSync('dist/cli.js', 0o755);

// The man page comes from the table that the command line is read by.
const man = await build({
  ...shared,
  entryPoints: ['src/cli/man.ts'],
  write: false,
  sourcemap: false,
  outdir: undefined,
});
const { manPage } = await import(
  `data:text/javascript;base64,${Buffer.from(man.outputFiles[0].text).toString('base64')}`
);
writeFileSync('dist/listenfds.1', manPage(JSON.parse(readFileSync('package.json', 'utf8')).version));
