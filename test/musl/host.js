// The official Node.js on musl instead of glibc: its binary with another loader, and beside it the few names of glibc that it
// wants and musl has not. So the tests run on both C libraries, where no image of Alpine can be had. Debian's packages
// musl, musl-tools, patchelf, libstdc++6 and libgcc-s1 are needed, and x64.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cache, cached, cachedFolder, nodeHome } from '../../scripts/node-versions.js';

export const loader = '/lib/ld-musl-x86_64.so.1';
/** Where the libraries are looked for as well: other users cannot enter root's cache, and find them where they are mounted. */
export const mountPoint = '/mnt';

/** The libraries: source → the name that is asked for, and flags. */
const libraries = {
  'glibc.c': ['ld-linux-x86-64.so.2'],
  'locale.c': ['libglibc-locale.so'],
  'atomic.c': ['libatomic.so.1', '-fno-builtin'],
};
const ofDebian = ['/usr/lib/x86_64-linux-gnu/libstdc++.so.6', '/lib/x86_64-linux-gnu/libgcc_s.so.1'];

function run(command, ...args) {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

/**
 * A folder with `bin/node` and `lib/`, made once for each binary.
 *
 * @param {number} major
 * @returns {Promise<string>}
 */
export async function muslHome(major) {
  const home = await nodeHome(major);
  const here = import.meta.dirname;
  const made = createHash('sha256').update(readFileSync(join(home, 'package.json')));
  for (const file of [...Object.keys(libraries), 'host.js']) made.update(readFileSync(join(here, file)));
  const name = `musl-node-${major}-${made.digest('hex').slice(0, 12)}`;
  return cachedFolder(name, (work) => {
    for (const part of ['bin', 'lib']) mkdirSync(join(work, part));
    for (const [source, [soname, ...flags]] of Object.entries(libraries)) {
      const output = join(work, 'lib', soname);
      run(
        'musl-gcc',
        '-O1',
        '-w',
        '-fPIC',
        '-shared',
        ...flags,
        `-Wl,-soname,${soname}`,
        join(here, source),
        '-o',
        output,
      );
    }
    for (const file of ofDebian) copyFileSync(file, join(work, 'lib', file.split('/').at(-1)));
    const node = join(work, 'bin/node');
    copyFileSync(join(home, 'bin/node'), node);
    // One after the other: patchelf 0.14 loses the path where it adds a library in the same run.
    run('patchelf', '--set-interpreter', loader, '--set-rpath', `${join(cache, name, 'lib')}:${mountPoint}`, node);
    run('patchelf', '--add-needed', 'libglibc-locale.so', node);
  });
}

/** Its binary. */
export async function muslNode(major) {
  return join(await muslHome(major), 'bin/node');
}

/**
 * Bun for musl, and where the libraries are that it needs beside it.
 *
 * @returns {Promise<{ program: string, libraries: string }>}
 */
export async function muslBun() {
  const folder = await cached('bun-musl-1', { '@oven/bun-linux-x64-musl': '^1.4.5' });
  const program = join(folder, 'node_modules/@oven/bun-linux-x64-musl/bin/bun');
  return { program, libraries: join(await muslHome(20), 'lib') };
}

if (process.argv[1] === import.meta.filename) {
  for (const major of process.argv.slice(2)) console.log(await muslNode(Number(major)));
}
