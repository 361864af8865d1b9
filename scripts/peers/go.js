// go-systemd, and a Go to run its tests with: Debian has both, and they are kept in the cache folder.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { apt } from '../debian.js';
import { cache } from '../node-versions.js';

const release = '1.24';

/** Fills a folder of the cache, once. */
function once(name, fill) {
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  const work = mkdtempSync(`${folder}.`);
  try {
    const run = apt();
    run('apt-get', ['update', '-qq']);
    fill(run, work);
    renameSync(work, folder);
  } catch (error) {
    rmSync(work, { recursive: true });
    throw error;
  }
  return folder;
}

/** @returns {string} GOROOT */
export const go = () =>
  once(`go-${release}`, (run, folder) => {
    const parts = join(folder, 'parts');
    mkdirSync(parts);
    run('apt-get', ['download', '-qq', `golang-${release}-go`, `golang-${release}-src`], parts);
    for (const file of readdirSync(parts)) execFileSync('dpkg', ['-x', file, parts], { cwd: parts });
    // Each has links to what the other has.
    for (const part of ['share', 'lib']) {
      cpSync(join(parts, `usr/${part}/go-${release}`), folder, {
        recursive: true,
        filter: (file) => !lstatSync(file).isSymbolicLink(),
      });
    }
    rmSync(parts, { recursive: true });
  });

/** @returns {string} a checkout without its history */
export const goSystemd = () =>
  once('peer-go-systemd', (run, folder) => {
    run('apt-get', ['source', '--download-only', '--tar-only', '-qq', 'golang-github-coreos-go-systemd'], folder);
    const archive = readdirSync(folder).find((name) => name.includes('.orig.tar.'));
    execFileSync('tar', ['-xf', archive, '--strip-components=1'], { cwd: folder });
    rmSync(join(folder, archive));
  });

/** Nothing is fetched, nor kept elsewhere. */
export function goEnvironment(folder) {
  const root = go();
  return {
    GOROOT: root,
    GOCACHE: join(cache, 'go-build'),
    GOPATH: join(folder, '.path'),
    GOFLAGS: '-mod=mod',
    GOPROXY: 'off',
    GOTOOLCHAIN: 'local',
    CGO_ENABLED: '0',
    PATH: [join(root, 'bin'), process.env.PATH].join(delimiter),
  };
}
