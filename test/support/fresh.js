// tap runs this before the tests: they start programs that import dist/, so dist/ has to be what src/ is now. The copies that
// scripts/ makes have no .git, and test what was packed or instrumented.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/** When a file, or the newest file of a folder, was changed: ms. 0: there is none. */
function changed(name) {
  const path = join(root, name);
  if (!existsSync(path)) return 0;
  if (!statSync(path).isDirectory()) return statSync(path).mtimeMs;
  return Math.max(...readdirSync(path).map((inner) => changed(join(name, inner))));
}

const sources = ['src', 'build.js', 'scripts/insides.js', 'test/support/insides.ts', 'tsconfig.json', 'package.json'];
const lastBuilt = 'dist/listenfds.1';

if (existsSync(join(root, '.git'))) {
  if (Math.max(...sources.map(changed)) > changed(lastBuilt)) {
    console.error('dist/ is older than src/: building it');
    // tap puts its loaders into NODE_OPTIONS of every process; they are for the tests.
    const { status } = spawnSync('env', ['-u', 'NODE_OPTIONS', 'npm', 'run', '--silent', 'build:ts'], {
      cwd: root,
      stdio: ['ignore', 2, 2],
    });
    process.exitCode = status ?? 1;
  }
  if (changed('native') > changed('build/Release/listenfds.node') && !existsSync(join(root, 'prebuilds'))) {
    console.error('The addon is older than native/: after a change there, run npm run build:native.');
  }
}
