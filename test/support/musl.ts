// A root folder with musl and without glibc, for programs on another C library: see test/musl/host.js.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { prebuild } from '../../scripts/prebuild.js';
import { loader, muslBun, muslHome } from '../musl/host.js';
import { root } from './activate.ts';
import { copyPackage } from './package.ts';
import { hasCompilers, packed } from './packed.ts';
import { unless, without } from './tools.ts';

/** For `{ skip }`. */
export const noMusl =
  unless(process.arch === 'x64' && existsSync(loader), 'needs musl for x64') ||
  without('musl-gcc', 'patchelf', 'g++', 'readelf');

/** For `{ skip }`. */
export const noRoot =
  noMusl ||
  unless(spawnSync('unshare', ['--mount', 'chroot', '/', '/bin/true']).status === 0, 'needs the rights of root');

let shipped: Promise<unknown> | undefined;
const built = join(root, '.tap/musl-addon');

/** Puts the package into node_modules of a folder, with the addon that is shipped, and no other. */
export async function packageForMusl(folder: string): Promise<void> {
  const copy = join(folder, 'node_modules/listenfds');
  const addon = 'prebuilds/linux-x64/listenfds.node';
  copyPackage(copy);
  if (existsSync(join(copy, addon))) return;
  mkdirSync(dirname(join(copy, addon)), { recursive: true });
  if (hasCompilers) {
    execFileSync('tar', ['-xzf', await packed(), '--strip-components=1', '-C', copy, `package/${addon}`]);
    return;
  }
  shipped ??= prebuild('linux-x64', built);
  await shipped;
  copyFileSync(built, join(copy, addon));
}

/** A root folder: a runtime, musl and the package. `through` is what starts a program in it, its pid staying the same. */
export interface MuslRoot {
  readonly folder: string;
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  readonly through: readonly string[];
}

async function runtime(
  name: number | 'bun',
): Promise<{ program: string; folders: string[]; env: Record<string, string> }> {
  if (name !== 'bun') {
    const home = await muslHome(name);
    return { program: join(home, 'bin/node'), folders: [home], env: {} };
  }
  const { program, libraries } = await muslBun();
  return { program, folders: [dirname(program), libraries], env: { LD_LIBRARY_PATH: libraries } };
}

/**
 * Makes one.
 *
 * @param folder an empty folder, which is the root
 * @param name a release line of Node.js, or Bun
 * @param programs go into /app
 */
export async function muslRoot(folder: string, name: number | 'bun', programs: readonly string[]): Promise<MuslRoot> {
  const { program, folders, env } = await runtime(name);
  for (const inner of ['app', 'dev', 'proc', 'run', 'tmp', 'lib', ...folders]) {
    mkdirSync(join(folder, inner), { recursive: true });
  }
  copyFileSync(loader, join(folder, loader));
  writeFileSync(join(folder, 'app/package.json'), '{ "type": "module" }');
  await packageForMusl(join(folder, 'app'));
  for (const one of programs) cpSync(join(root, 'test/fixtures', one), join(folder, 'app', one));
  const mounts = ['/dev', '/proc', ...folders].map((inner) => `mount --rbind '${inner}' '${join(folder, inner)}'`);
  const script = [...mounts, `exec chroot '${folder}' "$@"`].join(' && ');
  return {
    folder,
    program,
    env,
    through: ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'],
  };
}

/** The same for podman: the command up to the program, whose folder is /app. */
export async function muslContainer(folder: string, major: number): Promise<{ program: string; command: string[] }> {
  const { program } = await muslRoot(folder, major, []);
  const home = dirname(dirname(program));
  const options = ['--rm', '--network=none', '--cgroups=disabled', '--workdir=/app', `--volume=${home}:${home}:ro`];
  for (const limit of ['nofile=1024:1024', 'nproc=1000:1000', 'memlock=65536:65536']) options.push('--ulimit', limit);
  for (const inner of ['sys', 'etc']) mkdirSync(join(folder, inner));
  return { program, command: ['podman', '--cgroup-manager=cgroupfs', 'run', ...options, '--rootfs', folder] };
}

/** Files in it that are glibc's. */
export function glibcIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /libc\.so\.6$|ld-linux/.test(file),
  );
}
