// A folder with the package in its node_modules, as npm puts it there: what the loader has to do is part of the cost.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const project = resolve(import.meta.dirname, '..');

/**
 * Installs the package, as it is packed, and the programs of bench/programs in a temporary folder. Beside it there are Express,
 * Fastify, and a package `nothing` of one empty module: what Node itself charges for any package.
 */
export function installPackage() {
  const folder = mkdtempSync(join(tmpdir(), 'listenfds-bench-'));
  const own = join(folder, 'node_modules/listenfds');
  mkdirSync(own, { recursive: true });
  const options = { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 2] };
  const pack = ['scripts/pack.js', '--this-machine', folder];
  // A test has packed it already.
  const tarball = process.env.PACKED_FILE ?? execFileSync(process.execPath, pack, options).trim();
  execFileSync('tar', ['-xzf', tarball, '-C', own, '--strip-components=1']);
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
