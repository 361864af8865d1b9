// Node's own tests, as Debian has them in its source packages of nodejs. They are kept in the cache folder, and never in the
// repository.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { apt } from '../debian.js';
import { cache, cachedFolder, majors } from '../node-versions.js';

/** Unpacks the tests of one version. */
function unpack(run, version, work) {
  let failure;
  try {
    run('apt-get', ['source', '--download-only', '--tar-only', '-qq', `nodejs=${version}`], work);
  } catch (error) {
    failure = error; // perhaps only one of the archives that are not needed
  }
  const archive = readdirSync(work).find((name) => name.endsWith('.orig.tar.xz'));
  if (!archive) throw failure;
  const tests = ['--strip-components=1', '--wildcards', '*/test/common', '*/test/fixtures', '*/test/parallel'];
  execFileSync('tar', ['-xJf', archive, ...tests], { cwd: work });
  rmSync(join(work, archive));
}

let run;
let versions;

/** The folder `name` with the tests of a release line; null if they can neither be found here nor fetched. */
function fetched(major, name) {
  if (existsSync(join(cache, name))) return join(cache, name);
  if (!run) {
    run = apt();
    run('apt-get', ['update', '-qq']);
    versions = run('apt-cache', ['madison', 'nodejs'])
      .split('\n')
      .map((line) => line.split('|')[1]?.trim() ?? '');
  }
  for (const version of versions.filter((one) => one.startsWith(`${major}.`)).reverse()) {
    try {
      return cachedFolder(name, (work) => unpack(run, version, work));
    } catch (error) {
      const why = String(error.stderr || error)
        .trim()
        .split('\n')
        .at(-1);
      console.error(`The tests of Node.js ${version} cannot be had: ${why}`);
    }
  }
  return null;
}

/**
 * The folder of the tests for a release line: its own, or the newest before it that can be had.
 *
 * @param {number} major
 * @returns {{ folder: string, of: number }}
 */
export function testsOf(major) {
  for (const of of majors.filter((one) => one <= major).reverse()) {
    const folder = fetched(of, `node-tests-${of}`);
    if (folder !== null) return { folder, of };
  }
  throw new Error(`There are no tests for Node.js ${major}`);
}
