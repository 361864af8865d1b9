// Bundles src/ into dist/. The core, which a service needs to start, is one file without imports: each further ES module
// costs about a millisecond at every start. What is not always needed is a room: a file of its own that the core loads
// with a dynamic import, and that imports the core.
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { build } from 'esbuild';
import { rollup } from 'rollup';
import esbuild from 'rollup-plugin-esbuild';
import { buildInsides } from './scripts/insides.js';

/** File in dist/ → the modules it begins with. What several rooms need belongs to the first of them. */
const rooms = {
  index: ['src/index.ts'],
  'unix-path': ['src/open/unix-path.ts'],
  sockets: ['src/sockets.ts', 'src/sockets/room.ts'],
  sd: ['src/sd.ts'],
  limits: ['src/admit/limits.ts'],
  stored: ['src/take/stored.ts'],
  shapes: ['src/listen/frameworks/shapes.ts', 'src/listen/frameworks/close-hooks.ts'],
  beside: ['src/listen/beside.ts'],
  spawn: ['src/programs/spawn.ts'],
  lend: ['src/lend/room.ts'],
  service: ['src/service/room.ts'],
  cli: ['src/cli/main.ts'],
};
const fileOf = new Map(
  Object.entries(rooms).flatMap(([name, sources]) => sources.map((source) => [resolve(source), name])),
);

const target = 'node20.19';

/** The room that a module belongs to. */
function roomOf(id, { getModuleInfo }) {
  const leadsTo = (from, seen = new Set()) =>
    from === id || getModuleInfo(from).importedIds.some((next) => !seen.has(next) && leadsTo(next, seen.add(next)));
  return [...fileOf].find(([source]) => getModuleInfo(source) && leadsTo(source))?.[1];
}

const bundle = await rollup({
  input: Object.fromEntries(Object.entries(rooms).map(([name, [first]]) => [name, first])),
  external: /^node:/,
  preserveEntrySignatures: 'allow-extension',
  plugins: [esbuild({ target, minifySyntax: true })],
});
await bundle.write({
  dir: 'dist',
  format: 'es',
  sourcemap: true,
  minifyInternalExports: false,
  chunkFileNames: '[name].js',
  manualChunks: roomOf,
});
await bundle.close();
chmodSync('dist/cli.js', 0o755);

// The preload is in every program's way: CommonJS, with what it needs of the core inside. Its entry is there twice, since
// --import costs a CommonJS program more than all of this does, and --require does not.
const roomsStayOutside = {
  name: 'rooms',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.?\/.*\.js$/ }, ({ path, resolveDir, kind }) => {
      const room = fileOf.get(resolve(resolveDir, path.replace(/\.js$/, '.ts')));
      if (kind === 'dynamic-import' && room) return { path: `./${room}.js`, external: true };
    });
  },
};
const shared = {
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target,
  minifySyntax: true,
  legalComments: 'none',
  sourcemap: true,
  logLevel: 'warning',
};
const commonJs = { ...shared, format: 'cjs', outExtension: { '.js': '.cjs' }, plugins: [roomsStayOutside] };
await build({
  ...commonJs,
  entryPoints: ['src/preload/preload.ts'],
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: 'const moduleUrl = process.getBuiltinModule("node:url").pathToFileURL(__filename);' },
});
await build({ ...shared, format: 'esm', entryPoints: ['src/preload/register.ts'] });
await build({ ...commonJs, entryPoints: ['src/preload/register.ts'], define: { 'import.meta.url': '__filename' } });
for (const name of ['register.d.ts', 'register.d.cts']) copyFileSync('dist/preload/register.d.ts', `dist/${name}`);
await buildInsides('.');
writeFileSync('dist/errors.json', JSON.stringify(JSON.parse(readFileSync('src/system/errors.json', 'utf8'))));

// The man page comes from the table that the command line is read by.
const man = await build({
  ...shared,
  format: 'esm',
  entryPoints: ['src/cli/man.ts'],
  write: false,
  sourcemap: false,
  outdir: undefined,
});
const { manPage } = await import(
  `data:text/javascript;base64,${Buffer.from(man.outputFiles[0].text).toString('base64')}`
);
writeFileSync('dist/listenfds.1', manPage(JSON.parse(readFileSync('package.json', 'utf8')).version));
