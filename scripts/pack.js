// npm run package [-- FOLDER]: packs what is published into FOLDER, by default the checkout, and prints the name of the file.
// --this-machine takes the addon that npm install has built here, and --without-addons takes none: neither needs other compilers.
//
// It is built in a copy, from nothing. The code is minified and has no source maps, which would be more than half of the package;
// classes keep their names, for the stacks. The package has no scripts and no binding.gyp at its root: npm
// would run or compile at each `npm ci`, and other package managers at each install.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import zopfli from '@gfx/zopfli';
import { generateDtsBundle } from 'dts-bundle-generator';
import { minify } from 'terser';
import { checkout, openFolder } from './copy.js';
import { publishLinks } from './links.js';
import { cleanEnvironment } from './node-versions.js';
import { prebuild, targets } from './prebuild.js';

const { values, positionals } = parseArgs({
  options: { 'this-machine': { type: 'boolean' }, 'without-addons': { type: 'boolean' } },
  allowPositionals: true,
});
const destination = resolve(positionals[0] ?? checkout);
/** What dist/ is made of, and what is packed as it is. */
const sources = ['src', 'build.js', 'scripts', 'test/support/insides.ts', 'tsconfig.json', 'package.json'];
const packed = ['README.md', 'LICENSE', 'native'];

const manifest = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8'));
const work = openFolder('pack');
const build = join(work, 'build');
const stage = join(work, 'package');

function copy(names, folder) {
  for (const name of names) cpSync(join(checkout, name), join(folder, name), { recursive: true });
}

/** dist/ without source maps and what only tests need, minified, the declarations in one file. */
async function makeDist() {
  copy(sources, build);
  symlinkSync(join(checkout, 'node_modules'), join(build, 'node_modules'));
  execFileSync('npm', ['run', '--silent', 'build:ts'], {
    cwd: build,
    env: cleanEnvironment(),
    stdio: ['ignore', 2, 2],
  });
  const dist = join(stage, 'dist');
  mkdirSync(dist, { recursive: true });
  for (const name of readdirSync(join(build, 'dist')).filter((name) => /\.(?:c?js|json|1)$/.test(name))) {
    if (name === 'insides.js') continue;
    const text = readFileSync(join(build, 'dist', name), 'utf8');
    const options = {
      module: !name.endsWith('.cjs'),
      toplevel: true,
      compress: { keep_classnames: true, passes: 2 },
      mangle: { keep_classnames: true },
      // One other character, and V8 keeps the whole file in two bytes for each.
      format: { max_line_len: 500, ascii_only: true },
    };
    writeFileSync(join(dist, name), /\.c?js$/.test(name) ? (await minify(text, options)).code : text);
  }
  const doors = ['index', 'sockets', 'sd'];
  // The doors share most of their types, which stand in one file.
  const all = join(build, 'src/types.ts');
  writeFileSync(all, doors.map((door) => `export * from './${door}.js';\n`).join(''));
  const [types] = generateDtsBundle([{ filePath: all, output: { noBanner: true } }], {
    preferredConfigPath: join(build, 'tsconfig.json'),
  });
  writeFileSync(join(dist, 'types.d.ts'), types);
  for (const door of doors) {
    const source = readFileSync(join(build, `src/${door}.ts`), 'utf8');
    const names = [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list]) => list.split(','));
    const exported = names.map((name) => name.replace('type ', '').trim()).filter((name) => name !== '');
    writeFileSync(join(dist, `${door}.d.ts`), `export { ${exported.join(', ')} } from './types.js';\n`);
  }
  for (const name of ['register.d.ts', 'register.d.cts']) cpSync(join(build, 'dist', name), join(dist, name));
}

async function makePrebuilds() {
  for (const target of Object.keys(targets)) {
    const output = join(stage, 'prebuilds', target, 'listenfds.node');
    const { sha256, size, names } = await prebuild(target, output);
    console.error(`${target}: ${size} bytes, asks for ${names} names, sha256 ${sha256}`);
  }
}

function copyAddon() {
  const built = join(checkout, 'build/Release/listenfds.node');
  cpSync(built, join(stage, `prebuilds/${process.platform}-${process.arch}/listenfds.node`));
}

try {
  await makeDist();
  if (values['this-machine']) copyAddon();
  else if (!values['without-addons']) await makePrebuilds();
  copy(packed, stage);
  // As in the code of JavaScript: comments are for the repository.
  for (const name of readdirSync(join(stage, 'native')).filter((name) => /\.(?:cc|h|js)$/.test(name))) {
    const file = join(stage, 'native', name);
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(/^\s*(?:\/\/.*|\/\*\*[^]*?\*\/)\n/gm, ''));
  }
  cpSync(join(checkout, 'binding.gyp'), join(stage, 'native/binding.gyp'));
  const readme = readFileSync(join(stage, 'README.md'), 'utf8');
  const isPacked = (path) => existsSync(join(stage, path));
  writeFileSync(join(stage, 'README.md'), publishLinks(readme, isPacked, manifest));
  const ours = ['scripts', 'devDependencies', 'overrides', 'tap', 'private', 'gypfile'];
  const published = Object.fromEntries(Object.entries(manifest).filter(([name]) => !ours.includes(name)));
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
  mkdirSync(destination, { recursive: true });
  const command = ['pack', '--silent', '--pack-destination', destination];
  const options = { cwd: stage, env: cleanEnvironment(), encoding: 'utf8', stdio: ['ignore', 'pipe', 2] };
  const file = join(destination, execFileSync('npm', command, options).trim());
  if (!values['this-machine'] && !values['without-addons'])
    writeFileSync(file, await zopfli.gzipAsync(gunzipSync(readFileSync(file)), {}));
  console.log(file);
} finally {
  rmSync(work, { recursive: true });
}
