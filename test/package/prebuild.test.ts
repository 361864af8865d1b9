// The checks of shipped addons find what is wrong, and the loader of musl refuses an addon that was built for glibc.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { inspect, problems, targets } from '../../scripts/prebuild.js';
import { root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { unless, without } from '../support/tools.ts';

const onX64 = unless(process.arch === 'x64', 'compiles for x64 without a cross compiler');

t.test('a library that was compiled without any care', { skip: onX64 || without('g++', 'readelf') }, async (t) => {
  const folder = temporaryFolder(t);
  const source = join(folder, 'careless.cc');
  const output = join(folder, 'careless.so');
  // stat() of a newer glibc, a code relocation by hand, a stack to run on.
  writeFileSync(
    source,
    `#include <math.h>
    #include <sys/stat.h>
    extern "C" int careless(const char* path, struct stat* out) { return stat(path, out) + (int)fmod(out->st_size, 3); }
    asm(".text\\n.quad careless\\n");`,
  );
  const loose = ['-Wl,-z,norelro', '-Wl,-z,lazy', '-Wl,-z,execstack', '-Wl,-rpath,/opt', '-Wl,-z,notext'];
  const flags = ['-shared', '-fPIC', '-g', '-O0', '-fno-stack-protector', '-U_FORTIFY_SOURCE', ...loose];
  execFileSync('g++', [...flags, source, '-o', output, '-Wl,--no-as-needed', '-lresolv'], { stdio: 'pipe' });
  const found = problems(await inspect(output), targets['linux-arm64'].machine).join('\n');
  for (const expected of [
    /is for AArch64/,
    /RELRO/,
    /BIND_NOW/,
    /stack that nothing runs on/,
    /TEXTREL/,
    /RPATH/,
    /stack protected/,
    /FORTIFY_SOURCE/,
    /taken for one of musl/,
    /is stripped/,
    /C and the C\+\+ library only/,
    /it asks for GLIBC_2\.(?:3[3-9]|[4-9]\d), and the floor is 2\.28/,
  ]) {
    t.match(found, expected);
  }
});

t.test('musl', { skip: onX64 || without('musl-gcc', 'nm') }, async (t) => {
  const addon = [join(root, 'prebuilds/linux-x64/listenfds.node'), join(root, 'build/Release/listenfds.node')].find(
    (file) => existsSync(file),
  )!;
  const folder = temporaryFolder(t);
  // What Node.js and a C++ library of musl would bring: every name that is not glibc's. musl has statx since 1.2.5.
  const names = [...execFileSync('nm', ['-D', '--undefined-only', addon], { encoding: 'utf8' }).matchAll(/ U (\S+)/g)];
  const foreign = names.map(([, name]) => name!).filter((name) => !name.includes('@GLIBC_'));
  const load = (alsoThere: readonly string[]) => {
    const stubs = [...foreign.map((name) => name.split('@')[0]!), ...alsoThere];
    const program = join(folder, `load-${alsoThere.length}`);
    const source = `
      #include <dlfcn.h>
      #include <stdio.h>
      ${stubs.map((name) => `__attribute__((used)) void ${name}(void) {}`).join('\n')}
      int main(int count, char** arguments) { puts(dlopen(arguments[1], RTLD_LAZY) ? "loaded" : dlerror()); }`;
    writeFileSync(`${program}.c`, source);
    execFileSync('musl-gcc', ['-w', '-fno-builtin', '-rdynamic', `${program}.c`, '-o', program]);
    return spawnSync(program, [addon], { env: { LD_LIBRARY_PATH: folder }, encoding: 'utf8' }).stdout;
  };
  writeFileSync(join(folder, 'empty.c'), '');
  execFileSync('musl-gcc', ['-shared', join(folder, 'empty.c'), '-o', join(folder, 'libstdc++.so.6')]);
  const ofGlibc = ['__memcpy_chk', '__strcat_chk', '__cmsg_nxthdr', 'statx', 'fcntl64'];
  t.match(load(ofGlibc), /^Error relocating .*listenfds\.node: gnu_get_libc_version: symbol not found/);
  t.equal(load([...ofGlibc, 'gnu_get_libc_version']), 'loaded\n', 'these are all that keep it out');
});
