// Bundles src/ into dist/. The core, which a service needs to start, is one file: each further ES module costs about a
// millisecond at every start. What is not always needed is a room: a file of its own that the core loads with a dynamic
// import, which other bundlers follow as well. A room takes the core from src/internal.ts, which becomes the object
// `internal` that dist/index.js exports: nothing is ever loaded twice.
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
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

const core = 'src/index.ts';
const roomOf = new Map(Object.entries(rooms).map(([source, file]) => [resolve(source), file]));

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

const sourceOf = (resolveDir, path) => resolve(resolveDir, path.replace(/\.js$/, '.ts'));

/** Rooms stay files of their own, whoever imports them. */
const roomsStayOutside = {
  name: 'rooms',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.?\/.*\.js$/ }, ({ path, resolveDir, kind }) => {
      const file = roomOf.get(sourceOf(resolveDir, path));
      if (kind === 'dynamic-import' && file) return { path: `./${file}`, external: true };
    });
  },
};

/** What src/internal.ts exports. */
const { metafile } = await build({
  ...shared,
  entryPoints: ['src/internal.ts'],
  write: false,
  metafile: true,
  plugins: [roomsStayOutside],
});
const names = Object.values(metafile.outputs).find(({ entryPoint }) => entryPoint).exports;

/** A namespace object is built of getters, one by one, at every start: 0.2 ms more than a plain object. */
const plainInternal = {
  name: 'plain internal',
  setup({ onLoad }) {
    onLoad({ filter: /src\/index\.ts$/ }, ({ path }) => {
      const contents = readFileSync(path, 'utf8').replace(
        "export * as internal from './internal.js';",
        () => `import { ${names} } from './internal.js';\nexport const internal = { ${names} };`,
      );
      return { contents, loader: 'ts' };
    });
  },
};

/** In a room, src/internal.ts is the core that is loaded already. */
const coreFromOutside = {
  name: 'core',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\.?\/.*\.js$/ }, ({ path, resolveDir, namespace }) => {
      if (namespace === 'core') return { path, external: true };
      if (sourceOf(resolveDir, path) === resolve('src/internal.ts')) return { path: 'internal', namespace: 'core' };
    });
    onLoad({ filter: /.*/, namespace: 'core' }, () => {
      const lines = names.map((name) => `export const ${name} = internal.${name};`);
      return { contents: [`import { internal } from './index.js';`, ...lines].join('\n'), resolveDir: 'dist' };
    });
  },
};

await build({ ...shared, entryPoints: [core], plugins: [roomsStayOutside, plainInternal] });

// The preload is in every program's way: CommonJS, with what it needs of the core inside. Its entry is there twice, since
// --import costs a CommonJS program more than all of this does, and --require does not.
const commonJs = { ...shared, format: 'cjs', outExtension: { '.js': '.cjs' }, plugins: [roomsStayOutside] };
await build({
  ...commonJs,
  entryPoints: ['src/lend/preload.ts'],
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: 'const moduleUrl = process.getBuiltinModule("node:url").pathToFileURL(__filename);' },
});
await build({ ...shared, entryPoints: ['src/register.ts'] });
await build({ ...commonJs, entryPoints: ['src/register.ts'], define: { 'import.meta.url': '__filename' } });
copyFileSync('dist/register.d.ts', 'dist/register.d.cts');

for (const [source, file] of Object.entries(rooms)) {
  await build({
    ...shared,
    entryPoints: [source],
    entryNames: basename(file, '.js'),
    plugins: [roomsStayOutside, coreFromOutside],
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
