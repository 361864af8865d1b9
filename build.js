// Bundles src/ into dist/: the core in one file, because each further ES module costs a service about a millisecond at
// every start, and each room that is not always needed in a file of its own, loaded by a dynamic import. A room takes
// the core from src/internal.ts, which becomes an import of dist/index.js: nothing is ever loaded twice.
import { chmodSync, readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { build } from 'esbuild';

/** source → file in dist/ */
const rooms = {
  'src/service/room.ts': 'service.js',
  'src/sockets/room.ts': 'sockets.js',
  'src/spawn.ts': 'spawn.js',
  'src/cli/main.ts': 'cli.js',
  'src/framework-shapes.ts': 'framework-shapes.js',
};

const core = 'src/index.ts';
const byPath = new Map(Object.entries(rooms).map(([source, file]) => [resolve(source), file]));

/** The values that src/internal.ts exports. */
const { metafile } = await build({
  entryPoints: ['src/internal.ts'],
  bundle: true,
  platform: 'node',
  format: 'esm',
  write: false,
  metafile: true,
});
const names = Object.values(metafile.outputs)[0].exports;

const onDemand = {
  name: 'rooms',
  setup({ onResolve, onLoad, initialOptions }) {
    const [entry] = initialOptions.entryPoints;
    onResolve({ filter: /^\.\.?\/.*\.js$/ }, ({ path, resolveDir, kind }) => {
      const source = resolve(resolveDir, path.replace(/\.js$/, '.ts'));
      if (kind === 'dynamic-import' && byPath.has(source)) return { path: `./${byPath.get(source)}`, external: true };
      if (entry !== core && source === resolve('src/internal.ts')) return { path: source, namespace: 'core' };
    });
    // A namespace object would be built of getters, one by one, at every start: 0.2 ms more than a plain object.
    onLoad({ filter: /\/src\/index\.ts$/ }, () => {
      const source = readFileSync(core, 'utf8');
      const contents = source.replace(
        "export * as internal from './internal.js';",
        `import { ${names} } from './internal.js';\nexport const internal = { ${names} };`,
      );
      if (contents === source) throw new Error(`${core} no longer exports internal`);
      return { contents, loader: 'ts' };
    });
    // The core's exports as a room sees them: names of one object that dist/index.js exports.
    onLoad({ filter: /.*/, namespace: 'core' }, () => {
      const lines = names.map((name) => `export const ${name} = internal.${name};`);
      return { contents: [`import { internal } from './index.js';`, ...lines].join('\n'), resolveDir: 'dist' };
    });
    onResolve({ filter: /^\.\/index\.js$/, namespace: 'core' }, () => ({ path: './index.js', external: true }));
  },
};

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
  plugins: [onDemand],
};

await build({ ...shared, entryPoints: [core] });
for (const [source, file] of Object.entries(rooms)) {
  await build({ ...shared, entryPoints: [source], entryNames: basename(file, '.js') });
}
chmodSync('dist/cli.js', 0o755);
