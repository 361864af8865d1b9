// A copy of the checkout to run tests in, which finds its dependencies in the checkout.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export const checkout = resolve(import.meta.dirname, '..');

/** An empty folder that every user can read: tests become other users. */
export function openFolder(name) {
  const folder = mkdtempSync(join(tmpdir(), `listenfds-${name}-`));
  chmodSync(folder, 0o755);
  return folder;
}

/** Links node_modules, and copies all that git knows or would, but what is there already. */
export function addSources(folder) {
  // A link itself, perhaps, which leads nowhere in another system.
  symlinkSync(realpathSync(join(checkout, 'node_modules')), join(folder, 'node_modules'));
  const list = ['ls-files', '--cached', '--others', '--exclude-standard'];
  const files = execFileSync('git', list, { cwd: checkout, encoding: 'utf8' }).trim().split('\n');
  for (const file of files) {
    const copy = join(folder, file);
    if (existsSync(copy) || !existsSync(join(checkout, file))) continue;
    mkdirSync(dirname(copy), { recursive: true });
    cpSync(join(checkout, file), copy);
  }
}
