// Builds the addon where no shipped one fits, on another CPU for instance. It needs a C++ compiler and two packages
// of headers, and neither Python nor make:
//
//   npm install --no-save node-addon-api@8 node-api-headers@1
//   node native/build.js      → build/Release/listenfds.node
//
// CXX names the compiler (default c++), CXXFLAGS has more flags for it. What is compiled, and how, stands in binding.gyp
// (native/binding.gyp in the package), which node-gyp and scripts/prebuild.js go by as well.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = resolve(import.meta.dirname, '..');

/**
 * @param {{ compiler: string, headers: string[], output: string, root?: string, cpu?: string, more?: string[], link?: string[] }} options `headers`
 *   are the folders of node_api.h and napi.h, `more` has flags for the compiler, `link` for the linker, `output` is the file to
 *   write, `root` the folder of the package
 * @returns {Promise<void>}
 */
export async function buildAddon({ compiler, headers, output, root = here, cpu = process.arch, more = [], link = [] }) {
  // At the root of an installed package npm would take it for an install script.
  const file = ['binding.gyp', 'native/binding.gyp']
    .map((place) => join(root, place))
    .find((place) => existsSync(place));
  const recipe = JSON.parse(readFileSync(file, 'utf8')).targets[0];
  const own = recipe.conditions.find(([condition]) => condition === `target_arch=='${cpu}'`)?.[1].cflags_cc ?? [];
  const flags = [...recipe.cflags_cc, ...own, ...more];
  const defines = recipe.defines.map((define) => `-D${define}`);
  const includes = headers.map((folder) => `-I${folder}`);
  mkdirSync(dirname(output), { recursive: true });
  const work = mkdtempSync(`${output}.`);
  const object = (source) => join(work, `${basename(source)}.o`);
  const compile = async (source) => {
    const all = ['-fPIC', '-pthread', ...flags, ...defines, ...includes];
    // Paths relative to the package: the result is the same wherever it is built.
    await run(compiler, [...all, '-c', source, '-o', object(source)], { cwd: root });
  };
  try {
    const waiting = [...recipe.sources];
    const worker = async () => {
      for (let source = waiting.shift(); source !== undefined; source = waiting.shift()) await compile(source);
    };
    await Promise.all(Array.from({ length: availableParallelism() }, worker));
    const made = join(work, 'listenfds.node');
    const all = ['-shared', '-pthread', '-s', ...flags, ...recipe.ldflags, ...link];
    await run(compiler, [...all, ...recipe.sources.map(object), '-o', made], { cwd: root });
    renameSync(made, output);
  } finally {
    rmSync(work, { recursive: true });
  }
}

const remedy = 'npm install --no-save node-addon-api@8 node-api-headers@1';

/**
 * The folders of napi.h and node_api.h: of the packages from npm, beside this package or in the project in which the command
 * is given.
 *
 * @returns {string[]}
 */
export function headersFromNpm() {
  return ['node-addon-api', 'node-api-headers'].map((name) => {
    for (const folder of [here, process.cwd()]) {
      try {
        const home = dirname(createRequire(join(folder, 'package.json')).resolve(`${name}/package.json`));
        return name === 'node-addon-api' ? home : join(home, 'include');
      } catch {
        // The other folder may have it.
      }
    }
    throw new Error(`The headers of ${name} are missing: ${remedy}`);
  });
}

const started = process.argv[1];
if (started !== undefined && existsSync(started) && realpathSync(started) === realpathSync(import.meta.filename)) {
  const output = join(here, 'build/Release/listenfds.node');
  try {
    const { CXX: compiler = 'c++', CXXFLAGS = '' } = process.env;
    const more = CXXFLAGS.split(/\s+/).filter((flag) => flag !== '');
    await buildAddon({ compiler, headers: headersFromNpm(), output, more });
    console.log(output);
  } catch (error) {
    const noCompiler = error.code === 'ENOENT' && error.syscall?.startsWith('spawn');
    console.error(noCompiler ? `There is no ${error.path}: a C++ compiler is needed, or CXX=COMPILER` : error.message);
    process.exitCode = 1;
  }
}
