// Makes what the package ships beside its sources: dist/ from nothing, and the addons. The code is minified and has no source
// maps, which would be more than half of the package; functions and classes keep their names, for the stacks.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateDtsBundle } from 'dts-bundle-generator';
import { minify } from 'terser';

rmSync('dist', { recursive: true, force: true });
execFileSync('npm', ['run', '--silent', 'build:ts'], { stdio: ['ignore', 2, 2] });
for (const name of readdirSync('dist').filter((name) => /\.c?js$/.test(name))) {
  const file = join('dist', name);
  const { code } = await minify(readFileSync(file, 'utf8'), {
    module: name === 'cli.js', // it waits at its top level
    compress: false,
    mangle: { keep_fnames: true, keep_classnames: true },
    format: { max_line_len: 120 },
  });
  writeFileSync(file, code);
}

// One file of declarations for each door, with those that the public ones lead to.
const doors = ['index', 'sockets', 'sd'];
const declarations = generateDtsBundle(
  doors.map((door) => ({ filePath: `src/${door}.ts`, output: { noBanner: true } })),
  { preferredConfigPath: 'tsconfig.json' },
);
for (const { name } of readdirSync('dist', { withFileTypes: true })) {
  if (name.startsWith('insides.') || !/^register\.d\.c?ts$|js$|\.1$/.test(name))
    rmSync(join('dist', name), { recursive: true });
}
doors.forEach((door, index) => writeFileSync(`dist/${door}.d.ts`, declarations[index]));

execFileSync(process.execPath, ['scripts/prebuild.js'], { stdio: ['ignore', 2, 2] });
