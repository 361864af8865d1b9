// The checks of shipped addons find what is wrong, and what is shipped loads with both C libraries.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { majors, nodeHome } from '../../scripts/node-versions.js';
import { inspect, namesOfMusl, problems, targets } from '../../scripts/prebuild.js';
import { root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { packed } from '../support/packed.ts';
import { unless, without } from '../support/tools.ts';

const onX64 = unless(process.arch === 'x64', 'compiles for x64 without a cross compiler');

t.test('a library that was compiled without any care', { skip: onX64 || without('g++', 'readelf') }, async (t) => {
  const folder = temporaryFolder(t);
  const source = join(folder, 'careless.cc');
  const output = join(folder, 'careless.so');
  // fmod() with a version, storage of each thread, something to do at loading, a code relocation by hand, a stack to run on.
  writeFileSync(
    source,
    `#include <math.h>
    #include <stdio.h>
    static thread_local double last = puts("made");
    extern "C" double careless(double number) { return last = fmod(number, last); }
    static double at_loading = careless(3);
    asm(".text\\n.quad careless\\n");`,
  );
  const loose = ['-Wl,-z,norelro', '-Wl,-z,lazy', '-Wl,-z,execstack', '-Wl,-rpath,/opt', '-Wl,-z,notext'];
  const flags = ['-shared', '-fPIC', '-g', '-O0', '-fno-stack-protector', '-U_FORTIFY_SOURCE', ...loose];
  execFileSync('g++', [...flags, source, '-o', output, '-lm'], { stdio: 'pipe' });
  const found = problems(await inspect(output), targets['linux-arm64'], new Set()).join('\n');
  for (const expected of [
    /is for AArch64/,
    /RELRO/,
    /BIND_NOW/,
    /stack that nothing runs on/,
    /TEXTREL/,
    /RPATH/,
    /stack protected/,
    /FORTIFY_SOURCE/,
    /AArch64 feature: BTI, PAC/,
    /is stripped/,
    /needs no library/,
    /no version of a name/,
    /what Node\.js looks for, and nothing else/,
    /TLS/,
    /constructors/,
    /it asks for puts, which is not in the list/,
    /it asks for fmod, which musl has not/,
  ]) {
    t.match(found, expected);
  }
});

t.test('what no byte of the result shows stands in the recipe', (t) => {
  const [{ cflags_cc: flags }] = JSON.parse(readFileSync(join(root, 'binding.gyp'), 'utf8')).targets;
  for (const flag of [
    '-fstack-protector-strong',
    '-fstack-clash-protection',
    '-D_FORTIFY_SOURCE=3',
    '-D_GLIBCXX_ASSERTIONS',
  ]) {
    t.ok(flags.includes(flag), flag);
  }
  t.end();
});

t.test('what the addon declares of libuv is what Node.js has', { skip: without('g++') }, async (t) => {
  const declared = readFileSync(join(root, 'native/libuv.h'), 'utf8');
  const numbers = [...declared.matchAll(/constexpr \w+ (UV_\w+) = (\d+);/g)];
  const functions = [...declared.matchAll(/^\w+ (uv_\w+)\(/gm)].map(([, name]) => name!);
  t.ok(numbers.length > 5 && functions.length > 7);
  const source = `#include <uv.h>
    #include <stdint.h>
    #include <stddef.h>
    ${numbers.map(([, name, value]) => `static_assert(${name} == ${value}, "${name}");`).join('\n')}
    static_assert(offsetof(uv_poll_t, data) == 0 && offsetof(uv_handle_t, data) == 0, "data");
    static_assert(sizeof(uv_thread_t) == sizeof(uintptr_t), "uv_thread_t");
    static_assert(sizeof(uv_thread_options_t) == 16 && offsetof(uv_thread_options_t, stack_size) == 8, "options");
    static_assert(sizeof(uv_poll_event) == sizeof(int) && sizeof(uv_handle_type) == sizeof(int), "enumerations");
    ${functions.map((name) => `void* use_${name}() { return reinterpret_cast<void*>(&${name}); }`).join('\n')}`;
  for (const major of majors) {
    const headers = join(await nodeHome(major), 'include/node');
    const compile = ['-std=c++17', '-fsyntax-only', '-x', 'c++', `-I${headers}`, '-'];
    t.match(spawnSync('g++', compile, { input: source, encoding: 'utf8' }), { status: 0, stderr: '' }, `Node ${major}`);
  }
});

t.test('a copy that does not fit ends the process on both C libraries', { skip: without('g++', 'musl-gcc') }, (t) => {
  const folder = temporaryFolder(t);
  const object = join(folder, 'fortify.o');
  execFileSync('g++', ['-c', '-O2', '-fPIC', join(root, 'native/fortify.cc'), '-o', object]);
  const source = join(folder, 'main.c');
  writeFileSync(
    source,
    `void* __memcpy_chk(void*, const void*, unsigned long, unsigned long);
    int main(int count, char** arguments) { char to[8]; __memcpy_chk(to, "12345678", count > 1 ? 9 : 8, sizeof(to)); return 0; }`,
  );
  for (const compiler of ['gcc', 'musl-gcc']) {
    const program = join(folder, compiler);
    execFileSync(compiler, ['-w', '-O0', source, object, '-o', program]);
    t.match(spawnSync(program), { status: 0, signal: null }, compiler);
    t.match(spawnSync(program, ['too much']), { signal: 'SIGABRT' }, compiler);
  }
  t.end();
});

const compilers = Object.values(targets).map(({ compiler }) => compiler);
const skip = onX64 || without(...compilers, 'gcc', 'musl-gcc', 'readelf');

t.test('what is shipped', { skip, timeout: 400_000 }, async (t) => {
  const folder = temporaryFolder(t);
  const addon = join(folder, 'listenfds.node');
  const [name, more] = ['package/prebuilds/linux-x64/listenfds.node', ['--strip-components=3', '-C', folder]] as const;
  execFileSync('tar', ['-xzf', await packed(), ...more, name]);
  const facts = await inspect(addon);
  const ofTheRuntime = facts.undefined.filter((name) => /^(?:napi|node_api|uv)_/.test(name));
  const ofLibc = facts.undefined.filter((name) => !ofTheRuntime.includes(name));

  t.test('asks for names that glibc has in one version, not newer than 2.28', (t) => {
    const list = execFileSync('readelf', ['-W', '--dyn-syms', '/lib/x86_64-linux-gnu/libc.so.6'], { encoding: 'utf8' });
    for (const name of ofLibc) {
      const versions = [...list.matchAll(new RegExp(` ${name}@+GLIBC_(\\d+)\\.(\\d+)`, 'g'))];
      t.equal(versions.length, 1, name);
      t.ok(
        versions.every(([, major, minor]) => Number(major) === 2 && Number(minor) <= 28),
        name,
      );
    }
    t.end();
  });

  t.test('and that musl has', async (t) => {
    const musl = await namesOfMusl();
    t.same(
      ofLibc.filter((name) => !musl.has(name)),
      [],
    );
  });

  t.test('loads with each, every name bound at once', (t) => {
    // Names of Node-API and libuv are the program's, as they are in Node.js.
    const source = join(folder, 'load.c');
    writeFileSync(
      source,
      `#include <dlfcn.h>
      #include <stdio.h>
      ${ofTheRuntime.map((name) => `__attribute__((used)) void ${name}(void) {}`).join('\n')}
      int main(int count, char** arguments) { puts(dlopen(arguments[1], RTLD_NOW) ? "loaded" : dlerror()); return 0; }`,
    );
    for (const compiler of ['gcc', 'musl-gcc']) {
      const program = join(folder, `load-${compiler}`);
      execFileSync(compiler, ['-w', '-fno-builtin', '-rdynamic', source, '-o', program]);
      t.equal(spawnSync(program, [addon], { env: {}, encoding: 'utf8' }).stdout, 'loaded\n', compiler);
    }
    t.end();
  });
});
