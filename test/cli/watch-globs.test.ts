// The patterns of `listenfds run --watch`: what they match is what bash(1) with globstar would.
import t from 'tap';
import { globToRegExp } from '../../src/cli/watch.ts';

for (const [glob, yes, no] of [
  ['src/*.js', ['src/a.js', 'src/.js'], ['src/a/b.js', 'src/a.jsx', 'xsrc/a.js']],
  ['src/**', ['src/a', 'src/a/b/c'], ['src', 'lib/a']],
  ['src/**/*.ts', ['src/a.ts', 'src/a/b/c.ts'], ['src/a.js', 'a.ts']],
  ['?.js', ['a.js'], ['ab.js', '/.js', '.js']],
  ['[ab].js', ['a.js', 'b.js'], ['c.js', 'ab.js', '[ab].js']],
  ['[!a-c]x', ['dx'], ['ax', 'bx', 'x', '/x']],
  ['[!]a]x', ['bx'], [']x', 'ax']],
  ['[a^\\]x', ['ax', '^x', '\\x'], ['bx']],
  ['[^a]x', ['bx', '^x'], ['ax']],
  ['[]]x', [']x'], ['x', '[]]x']],
  ['a[b', ['a[b'], ['ab']],
  ['{a,b}.js', ['a.js', 'b.js'], ['c.js', 'a,b.js', '{a,b}.js']],
  ['x{1,{2,3}y}', ['x1', 'x2y', 'x3y'], ['x2', 'x1y']],
  ['{a,b', ['a', 'b'], ['{a,b']],
  ['a}b,c', ['a}b,c'], ['ab']],
  ['a.b+c(d)|e$^\\f', ['a.b+c(d)|e$^\\f'], ['aXb+c(d)|e$^\\f', 'e']],
] as const) {
  t.test(glob, (t) => {
    const pattern = globToRegExp(glob);
    for (const path of yes) t.match(path, pattern);
    for (const path of no) t.notMatch(path, pattern);
    t.end();
  });
}
