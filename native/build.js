// Builds the addon where no shipped one fits: another CPU, musl. It needs a C++ compiler, the headers of Node.js and those
// of node-addon-api, and neither Python nor make:
//
//   npm install --no-save node-addon-api
//   node native/build.js      → build/Release/listenfds.node
//
// CXX names the compiler (default c++), npm_config_nodedir the folder that has include/node (default: beside the node that
// runs this). What is compiled, and how, stands in binding.gyp, which node-gyp and scripts/prebuild.js go by as well.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = resolve(import.meta.dirname, '..');

/**
 * @param {{ compiler: string, headers: string[], output: string, root?: string, flags?: string[] }} options `headers` are
 *   the folders of node_api.h and napi.h, `output` the file to write, `root` the folder that has binding.gyp
 * @returns {Promise<void>}
 */
export async function buildAddon({ compiler, headers, output, root = here, flags = [] }) {
  const recipe = JSON.parse(readFileSync(join(root, 'binding.gyp'), 'utf8')).targets[0];
  const includes = headers.map((folder) => `-I${folder}`);
  const defines = recipe.defines.map((define) => `-D${define}`);
  mkdirSync(dirname(output), { recursive: true });
  const work = mkdtempSync(`${output}.`);
  const object = (source) => join(work, `${basename(source)}.o`);
  const compile = async (source) => {
    const all = ['-fPIC', '-pthread', ...recipe.cflags_cc, ...flags, ...defines, ...includes];
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
    const all = ['-shared', '-pthread', '-s', ...recipe.cflags_cc, ...flags, ...recipe.ldflags];
    await run(compiler, [...all, ...recipe.sources.map(object), '-o', made], { cwd: root });
    renameSync(made, output);
  } finally {
    rmSync(work, { recursive: true });
  }
}

/**
 * Where node_api.h and uv.h are on this machine.
 *
 * @returns {string}
 */
function headersHere() {
  const homes = [process.env['npm_config_nodedir'], resolve(dirname(process.execPath), '..')];
  const folders = homes.filter((home) => home).map((home) => join(home, 'include/node'));
  const found = folders.find((folder) => existsSync(join(folder, 'node_api.h')));
  if (found) return found;
  throw new Error(
    `There are no headers of Node.js in ${folders.join(', nor in ')}. They come with Node.js from nodejs.org and its ` +
      'container images; distributions have a package for them (libnode-dev, nodejs-dev, nodejs-devel). ' +
      'With npm_config_nodedir=FOLDER they are taken from FOLDER/include/node',
  );
}

/**
 * Where napi.h is: beside this package, or in the project that the command is given in.
 *
 * @returns {string}
 */
export function headersOfAddonApi() {
  for (const folder of [here, process.cwd()]) {
    try {
      return dirname(createRequire(join(folder, 'package.json')).resolve('node-addon-api/package.json'));
    } catch {
      // elsewhere, then
    }
  }
  throw new Error('There is no node-addon-api, whose headers are needed: npm install --no-save node-addon-api');
}

const started = process.argv[1];
if (started !== undefined && existsSync(started) && realpathSync(started) === realpathSync(import.meta.filename)) {
  const output = join(here, 'build/Release/listenfds.node');
  try {
    await buildAddon({ compiler: process.env['CXX'] ?? 'c++', headers: [headersHere(), headersOfAddonApi()], output });
    console.log(output);
  } catch (error) {
    const noCompiler = error.code === 'ENOENT' && error.syscall?.startsWith('spawn');
    console.error(noCompiler ? `There is no ${error.path}: a C++ compiler is needed, or CXX=COMPILER` : error.message);
    process.exitCode = 1;
  }
}
