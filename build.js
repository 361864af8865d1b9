// Bundles src/ into dist/: the core in one file, because each further ES module costs a service about a millisecond at
// every start, and each room that is not always needed in a file of its own, loaded by a dynamic import. A room takes
// the core from src/internal.ts, which becomes an import of dist/index.js: nothing is ever loaded twice.
import { basename, resolve } from 'node:path';
import { build } from 'esbuild';

/** source → file in dist/ */
const rooms = {
  'src/framework-shapes.ts': 'framework-shapes.js',
  'src/service/room.ts': 'service.js',
};

const core = 'src/index.ts';
const byPath = new Map(Object.entries(rooms).map(([source, file]) => [resolve(source), file]));

const onDemand = {
  name: 'rooms',
  setup({ onResolve, onLoad, initialOptions }) {
    const [entry] = initialOptions.entryPoints;
    onResolve({ filter: /^\.\.?\/.*\.js$/ }, ({ path, resolveDir, kind }) => {
      const source = resolve(resolveDir, path.replace(/\.js$/, '.ts'));
      if (kind === 'dynamic-import' && byPath.has(source)) return { path: `./${byPath.get(source)}`, external: true };
      if (entry !== core && source === resolve('src/internal.ts')) return { path: source, namespace: 'core' };
    });
    // The core's exports as a room sees them: names of one object that dist/index.js exports.
    onLoad({ filter: /.*/, namespace: 'core' }, async () => {
      const names = Object.keys((await import('./dist/index.js')).internal);
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
