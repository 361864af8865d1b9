// Node.js of other versions, for tests that run on each: from the npm packages that hold nothing but the binary and its
// headers, so that nothing has to be run to install them. They are kept in a cache folder outside of the repository.
//
//   node scripts/node-versions.js 20 22 24 26      prints the path of each
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Where tests keep what they download. */
export const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'listenfds-test');

/** The release lines that package.json says the library works on. */
export const majors = [20, 22, 24, 26];

/**
 * The environment without what tap, or an `npm run` around this, puts into every program it starts.
 *
 * @returns {Record<string, string>}
 */
export function cleanEnvironment() {
  const kept =
    /^(PATH|HOME|LANG|CI|HTTPS?_PROXY|NO_PROXY|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|XDG_\w*|npm_config_(nodedir|registry|cafile))$/i;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => kept.test(name)));
}

/**
 * A folder of the cache, filled once, whoever else is at it: remove it to have it anew.
 *
 * @param {string} name
 * @param {(work: string) => void} fill gets the folder that takes its place when it is complete
 * @returns {string}
 */
export function cachedFolder(name, fill) {
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(`${folder}.`);
  try {
    fill(work);
    renameSync(work, folder);
  } catch (error) {
    rmSync(work, { recursive: true });
    if (!existsSync(folder)) throw error; // else another process was faster
  }
  return folder;
}

/**
 * Installs packages into a folder of the cache, without running their scripts; once, whoever else is at it.
 *
 * @param {string} name of the folder
 * @param {Record<string, string>} dependencies as in package.json
 * @returns {Promise<string>} the folder
 */
export async function cached(name, dependencies) {
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(`${folder}.`);
  try {
    writeFileSync(join(work, 'package.json'), JSON.stringify({ private: true, dependencies }));
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
    // --force: a binary for another CPU is one to be run by an emulator.
    await promisify(execFile)('npm', ['install', '--ignore-scripts', '--force', ...quiet], {
      cwd: work,
      env: cleanEnvironment(),
    });
    renameSync(work, folder);
  } catch (error) {
    rmSync(work, { recursive: true });
    if (!existsSync(folder)) throw error; // else another process was faster
  }
  return folder;
}

/**
 * The folder of the newest Node.js of a release line, as of its first use here: `bin/node`, `include/node`.
 *
 * @param {number} major
 * @param {string} [arch] @default the one of this process
 * @returns {Promise<string>}
 */
export async function nodeHome(major, arch = process.arch) {
  const packageName = `node-linux-${arch}`;
  const folder = await cached(`node-${major}-${arch}`, { [packageName]: String(major) });
  return join(folder, 'node_modules', packageName);
}

/**
 * Its binary.
 *
 * @param {number} major
 * @param {string} [arch] @default the one of this process
 * @returns {Promise<string>}
 */
export async function nodeBinary(major, arch) {
  return join(await nodeHome(major, arch), 'bin/node');
}

if (import.meta.main ?? process.argv[1] === import.meta.filename) {
  const asked = process.argv.length > 2 ? process.argv.slice(2).map(Number) : majors;
  for (const major of asked) console.log(await nodeBinary(major));
}
