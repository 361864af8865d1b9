// Builds the addons that the package ships, with Debian's compilers, and checks each: `npm run prebuild`.
//
//   prebuilds/linux-x64/listenfds.node      g++
//   prebuilds/linux-arm64/listenfds.node    g++-aarch64-linux-gnu
//
// Each is built twice, in folders of different names, and both have to have the same bytes. One file serves glibc and musl: it
// is linked against nothing, and asks for names alone, which the C library of the running Node.js has, whichever that is.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { buildAddon, headersFromNpm } from '../native/build.js';

const run = promisify(execFile);
const project = resolve(import.meta.dirname, '..');

/** What is built: for each folder of prebuilds/ the compiler and the machine, as `readelf` names it. */
export const targets = {
  'linux-x64': {
    cpu: 'x64',
    compiler: 'x86_64-linux-gnu-g++',
    machine: 'Advanced Micro Devices X86-64',
    branches: 'x86 feature: IBT, SHSTK',
  },
  'linux-arm64': {
    cpu: 'arm64',
    compiler: 'aarch64-linux-gnu-g++',
    machine: 'AArch64',
    branches: 'AArch64 feature: BTI, PAC',
  },
};

/**
 * All that an addon may ask for besides Node-API and libuv. Each of these is in musl 1.2.3, and in glibc since 2.28 or
 * before, in one version only: where there are two, a name without a version is the older.
 */
export const allowed = new Set(
  `__errno_location __stack_chk_fail __stack_chk_guard _exit abort accept4 bind calloc chdir close connect dup2 execve fcntl
  fork free freeaddrinfo fstatfs getaddrinfo getegid geteuid getgid getgrnam_r getpeername getpid getppid getpwnam_r
  getrlimit getsockname getsockopt getuid if_indextoname if_nametoindex inet_ntop inet_pton ioctl listen malloc memchr memcmp memcpy memmove
  memset mkfifo nanosleep pipe2 poll prctl read recv recvmmsg send setpgid setsockopt shutdown sigaction sigemptyset
  sigfillset sigprocmask socket socketpair strchr strcmp strlen strnlen syscall vfork waitpid write`.split(/\s+/),
);

/** What Node.js looks for in an addon. */
const entries = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];

/**
 * The names that the musl of this machine has; Debian's package `musl` brings it.
 *
 * @returns {Promise<Set<string>>}
 */
export async function namesOfMusl() {
  const { stdout } = await run('readelf', ['-W', '--dyn-syms', '/usr/lib/x86_64-linux-musl/libc.so']).catch((error) => {
    throw new Error(`The names that musl has cannot be read; Debian's package musl brings them: ${error.message}`);
  });
  return new Set([...stdout.matchAll(/ (?:GLOBAL|WEAK) +\w+ +\d+ (\w+)$/gm)].map(([, name]) => name));
}

/**
 * Reads an addon.
 *
 * @param {string} file
 * @returns {Promise<{ machine: string, versions: string[], needed: string[], undefined: string[], exported: string[], dynamic: string, segments: string, sections: string, notes: string }>}
 */
export async function inspect(file) {
  const read = async (...options) => (await run('readelf', ['-W', ...options, file])).stdout;
  const symbols = await read('--dyn-syms');
  const dynamic = await read('-d');
  return {
    machine: /Machine:\s+(.*)/.exec(await read('-h'))[1].trim(),
    versions: [...new Set([...symbols.matchAll(/@+(\w+_[\d.]+)/g)].map(([, version]) => version))],
    needed: [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name),
    undefined: [...symbols.matchAll(/ UND (\w+)/g)].map(([, name]) => name),
    exported: [...symbols.matchAll(/ (?:GLOBAL|WEAK) +\w+ +\d+ (\w+)/g)].map(([, name]) => name),
    dynamic,
    segments: await read('-l'),
    sections: await read('-S'),
    notes: await read('-n'),
  };
}

/**
 * What is wrong with an addon, one sentence each.
 *
 * @param {Awaited<ReturnType<typeof inspect>>} facts
 * @param {{ machine: string, branches: string }} target
 * @param {ReadonlySet<string>} musl the names that musl has
 * @returns {string[]}
 */
export function problems(facts, { machine, branches }, musl) {
  const { versions, needed, exported, dynamic, segments, sections, notes } = facts;
  const expectations = {
    [`is for ${machine}`]: facts.machine === machine,
    'stays loaded for its thread (NODELETE)': /\(FLAGS_1\).*NODELETE/.test(dynamic),
    'has its relocations read-only (RELRO)': /GNU_RELRO/.test(segments),
    'binds every name at once (BIND_NOW)': /\(FLAGS\).*BIND_NOW/.test(dynamic) && /\(FLAGS_1\).*NOW/.test(dynamic),
    'has a stack that nothing runs on': /GNU_STACK(?:\s+0x\w+){5}\s+RW\s/.test(segments),
    'has no segment that can be written and run': !/\sRWE\s/.test(segments),
    'has no relocations in its code (TEXTREL)': !/TEXTREL/.test(dynamic),
    'looks for libraries nowhere else (RPATH)': !/R(?:UN)?PATH/.test(dynamic),
    'has its stack protected': facts.undefined.includes('__stack_chk_fail'),
    // Only the check of native/fortify.cc calls it.
    'was compiled with FORTIFY_SOURCE': facts.undefined.includes('abort'),
    [`marks where branches may go (${branches})`]: notes.includes(branches),
    'is stripped': !/\.(?:symtab|debug_\w+)\s/.test(sections),
    'needs no library': needed.length === 0,
    'asks for no version of a name': versions.length === 0,
    'exports what Node.js looks for, and nothing else': exported.sort().join() === entries.join(),
    'has no storage of threads (TLS)': !/\sTLS\s/.test(segments),
    'runs nothing when it is loaded (constructors)': !/\.(?:init|fini|ctors|dtors)\w*\s/.test(sections),
  };
  const wrong = Object.entries(expectations).filter(([, met]) => !met);
  const names = facts.undefined.filter((name) => !/^(?:napi|node_api|uv)_/.test(name));
  return [
    ...wrong.map(([expected]) => `it is not so that it ${expected}`),
    ...names.filter((name) => !allowed.has(name)).map((name) => `it asks for ${name}, which is not in the list`),
    ...names.filter((name) => !musl.has(name)).map((name) => `it asks for ${name}, which musl has not`),
  ];
}

/**
 * Builds one addon in two copies of the sources, and checks it.
 *
 * @param {keyof typeof targets} target
 * @param {string} output
 * @returns {Promise<{ sha256: string, size: number, names: number }>}
 */
export async function prebuild(target, output) {
  const { cpu, compiler } = targets[target];
  const headers = headersFromNpm(); // as package-lock.json has them
  // The C++ library leaves its templates visible, whatever the flags say.
  const link = ['-nostdlib', `-Wl,--version-script=${join(import.meta.dirname, 'exports.map')}`];
  const work = mkdtempSync(join(tmpdir(), 'listenfds-prebuild-'));
  try {
    const digests = [];
    for (const [root, file] of [
      [join(work, 'one'), output],
      [join(work, 'another, with a longer name'), join(work, 'again.node')],
    ]) {
      for (const part of ['binding.gyp', 'native']) cpSync(join(project, part), join(root, part), { recursive: true });
      await buildAddon({ compiler, headers, output: file, root, cpu, more: ['-flto'], link });
      digests.push(createHash('sha256').update(readFileSync(file)).digest('hex'));
    }
    const facts = await inspect(output);
    const wrong = problems(facts, targets[target], await namesOfMusl());
    if (digests[0] !== digests[1]) wrong.push('two builds differ');
    if (wrong.length > 0) throw new Error(`${output}: ${wrong.join('; ')}`);
    return { sha256: digests[0], size: readFileSync(output).length, names: facts.undefined.length };
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** npm takes a script called prebuild for something to run before each build, too, and does not say which it is. */
function isBeforeBuild() {
  if (process.env['npm_lifecycle_event'] !== 'prebuild') return false;
  const parentOf = (pid) => Number(/\) \w (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))[1]);
  const asked = (pid) => /(?:^|[\s\0])prebuild(?:[\s\0]|$)/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  return !asked(process.ppid) && !asked(parentOf(process.ppid));
}

if (process.argv[1] === import.meta.filename && !isBeforeBuild()) {
  for (const target of Object.keys(targets)) {
    const output = join(project, 'prebuilds', target, 'listenfds.node');
    const { sha256, size, names } = await prebuild(target, output);
    console.log(`${target}: ${size} bytes, asks for ${names} names, sha256 ${sha256}`);
  }
}
