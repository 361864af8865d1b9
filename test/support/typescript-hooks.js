// See typescript.cjs.
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(import.meta.dirname, '../..');
const compiled = join(root, '.tap/compiled');

/** When a file was changed: ms. 0: there is none. */
const changed = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

async function compile(file, output) {
  const { transform } = await import('esbuild');
  const { code } = await transform(readFileSync(file, 'utf8'), {
    loader: 'ts',
    target: 'es2023',
    sourcemap: 'inline',
    sourcefile: file,
  });
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(`${output}.${process.pid}`, code);
  renameSync(`${output}.${process.pid}`, output);
  return code;
}

/** Sources import what they will be compiled to. */
export function resolve(specifier, context, nextResolve) {
  if (!/^\.\.?\/.*\.js$/.test(specifier) || !context.parentURL?.endsWith('.ts')) return nextResolve(specifier, context);
  const url = new URL(specifier.replace(/js$/, 'ts'), context.parentURL).href;
  return changed(fileURLToPath(url)) > 0 ? { url, shortCircuit: true } : nextResolve(specifier, context);
}

export async function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context);
  const file = fileURLToPath(url);
  const output = join(compiled, `${file.slice(root.length)}.js`);
  const isFresh = changed(output) > changed(file);
  const source = isFresh ? readFileSync(output, 'utf8') : await compile(file, output);
  return { format: 'module', shortCircuit: true, source };
}
