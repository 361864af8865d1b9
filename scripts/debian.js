// Debian's archive, whatever system this is: for sources that other projects publish nowhere else as packages.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cache, cachedFolder } from './node-versions.js';

const suites = ['trixie', 'forky', 'sid'];
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** apt with lists of its own: whatever release this machine has, nothing of it changes. */
export function apt() {
  const folder = join(cache, 'apt');
  mkdirSync(join(folder, 'lists/partial'), { recursive: true });
  mkdirSync(join(folder, 'cache/archives/partial'), { recursive: true });
  const sources = suites.flatMap((suite) =>
    ['deb-src', ...(suite === 'trixie' ? ['deb'] : [])].map(
      (kind) => `${kind} [signed-by=${keyring}] http://deb.debian.org/debian ${suite} main\n`,
    ),
  );
  writeFileSync(join(folder, 'sources.list'), sources.join(''));
  const settings = {
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::Cache': join(folder, 'cache'),
    'APT::Sandbox::User': 'root',
  };
  const file = join(folder, 'apt.conf');
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`);
  writeFileSync(file, lines.join(''));
  return (command, args, cwd = folder) =>
    execFileSync(command, args, { cwd, env: { ...process.env, APT_CONFIG: file }, encoding: 'utf8', stdio: 'pipe' });
}

/**
 * A program of a package of Debian trixie for this machine, taken out of it once.
 *
 * @param {string} name of the package
 * @param {string} path of the program in it
 */
export function debianProgram(name, path) {
  const folder = cachedFolder(`debian-${name}`, (work) => {
    const run = apt();
    run('apt-get', ['update', '-q']);
    run('apt-get', ['download', '-q', `${name}/trixie`], work);
    run('sh', ['-c', 'dpkg-deb --extract *.deb . && rm *.deb'], work);
  });
  return join(folder, path);
}
