// What peers come from: source packages of Debian, unpacked once and kept in the cache folder.
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apt } from '../debian.js';
import { cachedFolder } from '../node-versions.js';

export const versionFile = 'DEBIAN_VERSION';

/** A folder of the cache, filled from Debian's archive. */
export const fromDebian = (name, fill) =>
  cachedFolder(name, (work) => {
    const run = apt();
    run('apt-get', ['update', '-qq']);
    fill(run, work);
  });

/** The upstream archive of a source package, of the newest of its versions that the mirror has. */
function download(run, name, folder) {
  const versions = run('apt-cache', ['madison', name])
    .split('\n')
    .filter((line) => line.includes('Sources'))
    .map((line) => line.split('|')[1].trim())
    .reverse();
  let failure = new Error(`Debian has no source package ${name}`);
  for (const version of versions) {
    try {
      run('apt-get', ['source', '--download-only', '--tar-only', '-qq', `${name}=${version}`], folder);
      return readdirSync(folder).find((file) => file.includes('.orig.tar.'));
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/**
 * @param {string} name of the source package
 * @param {string[]} [wanted] patterns of its files, as tar has them; everything by default
 * @returns {string} a checkout without its history; the file versionFile in it says of which version
 */
export const debianSource = (name, wanted = []) =>
  fromDebian(`peer-${name.replace('golang-github-', '')}`, (run, folder) => {
    const archive = download(run, name, folder);
    const only = wanted.length > 0 ? ['--wildcards', ...wanted] : [];
    execFileSync('tar', ['-xf', archive, '--strip-components=1', ...only], { cwd: folder });
    writeFileSync(join(folder, versionFile), /_(.+)\.orig\.tar/.exec(archive)[1]);
    rmSync(join(folder, archive));
  });
