// Makes what the package ships beside its sources: dist/ from nothing, and the addons. The code is minified and has no source
// maps, which would be more than half of the package; a stack still tells the line, and the release its commit.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { transform } from 'esbuild';

rmSync('dist', { recursive: true, force: true });
execFileSync('npm', ['run', '--silent', 'build:ts'], { stdio: ['ignore', 2, 2] });
for (const name of readdirSync('dist').filter((name) => /\.c?js$/.test(name))) {
  const file = join('dist', name);
  const { code } = await transform(readFileSync(file, 'utf8'), {
    target: 'node20.19',
    minifyWhitespace: true,
    minifyIdentifiers: true,
    legalComments: 'none',
    lineLimit: 120,
  });
  writeFileSync(file, code);
}

// Of the declarations those that index.d.ts and register.d.ts lead to.
const declared = new Set();
const follow = (file) => {
  if (declared.has(file)) return;
  declared.add(file);
  for (const [, path] of readFileSync(file, 'utf8').matchAll(/(?:from |import\()'(\.[^']+)\.js'/g)) {
    follow(join(dirname(file), `${path}.d.ts`));
  }
};
follow('dist/index.d.ts');
follow('dist/register.d.ts');
for (const name of readdirSync('dist', { recursive: true })) {
  const file = join('dist', name);
  if (file.endsWith('.map') || (file.endsWith('.d.ts') && !declared.has(file))) rmSync(file);
}

execFileSync(process.execPath, ['scripts/prebuild.js'], { stdio: ['ignore', 2, 2] });
