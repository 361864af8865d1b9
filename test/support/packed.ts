// The package as `npm run package` makes it, for every test that looks at what is published: packed once for each content of
// what goes into it, which takes more than a minute of processor time, and kept in the cache folder.
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { cache, cleanEnvironment } from '../../scripts/node-versions.js';
import { targets } from '../../scripts/prebuild.js';
import { root } from './activate.ts';
import { filesOf, hashOf } from './programs.ts';

const compilers = Object.values(targets).map(({ compiler }) => compiler);
/** Whether the tarball has the addons of all platforms. */
export const hasCompilers = compilers.every(
  (name) => spawnSync('sh', ['-c', 'command -v "$1"', 'sh', name]).status === 0,
);

/** All that the tarball is made of, and by. */
const sources =
  'src native scripts build.js binding.gyp tsconfig.json test/support/insides.ts README.md LICENSE package.json package-lock.json'.split(
    ' ',
  );

function key(): string {
  const paths = sources.map((name) => join(root, name)).filter((path) => existsSync(path));
  const files = paths.flatMap((path) => (statSync(path).isDirectory() ? filesOf(path) : [path]));
  return hashOf(root, files, `${hasCompilers} ${process.version}`);
}

function isAlive(lock: string): boolean {
  try {
    return existsSync(`/proc/${readFileSync(lock, 'utf8')}`);
  } catch {
    return false; // it is through
  }
}

/** Whether this process is the one that packs; the others wait for it. */
function mayPack(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    if (!isAlive(lock)) rmSync(lock, { force: true });
    return false;
  }
}

/**
 * The tarball, with the addons of all platforms where their compilers are, else with that of this machine.
 *
 * @returns its path; its name is the one it is published under
 */
export async function packed(): Promise<string> {
  const folder = join(cache, `packed-${key()}`);
  const lock = `${folder}.lock`;
  mkdirSync(cache, { recursive: true });
  while (!existsSync(folder)) {
    if (!mayPack(lock)) {
      await sleep(100);
      continue;
    }
    const work = `${folder}.${process.pid}`;
    try {
      mkdirSync(work, { recursive: true });
      const args = ['scripts/pack.js', ...(hasCompilers ? [] : ['--this-machine']), work];
      await promisify(execFile)(process.execPath, args, { cwd: root, env: cleanEnvironment() });
      for (const old of readdirSync(cache).filter((name) => /^packed-[0-9a-f]+$/.test(name))) {
        if (Date.now() - statSync(join(cache, old)).mtimeMs > 86_400_000) rmSync(join(cache, old), { recursive: true });
      }
      if (!existsSync(folder)) renameSync(work, folder);
    } finally {
      rmSync(work, { recursive: true, force: true });
      rmSync(lock, { force: true });
    }
  }
  return join(folder, readdirSync(folder)[0]!);
}
