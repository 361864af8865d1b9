// Peers written in Go, and a Go to run their tests with: Debian has all of it.
import { execFileSync } from 'node:child_process';
import { cpSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cache } from '../node-versions.js';
import { debianSource, fromDebian } from './debian-source.js';

const release = '1.24';

/** @returns {string} GOROOT */
export const go = () =>
  fromDebian(`go-${release}`, (run, folder) => {
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

/** tableflip, whose tests need nothing but Go. */
export const tableflip = () => debianSource('golang-github-cloudflare-tableflip');

export const goSystemd = () => debianSource('golang-github-coreos-go-systemd');

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
