// A folder with the package in its node_modules, as npm puts it there: what the loader has to do is part of the cost.
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const project = resolve(import.meta.dirname, '..');
const shipped = ['package.json', 'dist', 'prebuilds', 'build/Release/listenfds.node'];

/**
 * Copies the package and the programs of bench/programs into a temporary folder. Beside it there are Express, Fastify, and a
 * package `nothing` of one empty module: what Node itself charges for any package.
 */
export function installPackage() {
  const folder = mkdtempSync(join(tmpdir(), 'listenfds-bench-'));
  for (const part of shipped) {
    if (existsSync(join(project, part))) {
      cpSync(join(project, part), join(folder, 'node_modules/listenfds', part), { recursive: true });
    }
  }
  const nothing = join(folder, 'node_modules/nothing');
  mkdirSync(join(nothing, 'dist'), { recursive: true });
  const manifest = { name: 'nothing', type: 'module', exports: { '.': { default: './dist/index.js' } } };
  writeFileSync(join(nothing, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(nothing, 'dist/index.js'), 'export {};\n');
  for (const name of ['express', 'fastify']) {
    symlinkSync(join(project, 'node_modules', name), join(folder, 'node_modules', name));
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  cpSync(join(import.meta.dirname, 'programs'), folder, { recursive: true });
  return {
    program: (name) => join(folder, `${name}.js`),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
