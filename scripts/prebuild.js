// Builds the addons that the package ships, with Debian's compilers, and checks each: `npm run prebuild`.
//
//   prebuilds/linux-x64/listenfds.node      g++
//   prebuilds/linux-arm64/listenfds.node    g++-aarch64-linux-gnu
//
// Each is built twice, in folders of different names, and both have to have the same bytes.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { buildAddon, headersOfAddonApi } from '../native/build.js';
import { majors, nodeHome } from './node-versions.js';

const run = promisify(execFile);
const project = resolve(import.meta.dirname, '..');

/** What is built: for each folder of prebuilds/ the compiler and the machine, as `readelf` names it. */
export const targets = {
  'linux-x64': { compiler: 'x86_64-linux-gnu-g++', machine: 'Advanced Micro Devices X86-64' },
  'linux-arm64': { compiler: 'aarch64-linux-gnu-g++', machine: 'AArch64' },
};

/**
 * The newest of each that an addon may ask for. RHEL 8 and Debian 10 have this glibc, and Node.js 20 asks for it itself;
 * GLIBCXX_3.4.21 came with GCC 5.1, and Node.js asks for a newer one.
 *
 * @type {Record<string, string>}
 */
export const floor = { GLIBC: '2.28', GLIBCXX: '3.4.21', CXXABI: '1.3.9' };

const numbers = (version) => version.split('.').map(Number);

/** Compares two versions by number. */
function byVersion(a, b) {
  const [left, right] = [numbers(a), numbers(b)];
  const at = left.findIndex((part, index) => part !== right[index]);
  if (at < 0) return left.length - right.length;
  return left[at] - (right[at] ?? -1);
}

/**
 * Reads an addon.
 *
 * @param {string} file
 * @returns {Promise<{ machine: string, versions: Record<string, string>, needed: string[], undefined: string[], dynamic: string, segments: string, sections: string }>}
 *   `versions` has the newest symbol version asked for of each library
 */
export async function inspect(file) {
  const read = async (...options) => (await run('readelf', ['-W', ...options, file])).stdout;
  const symbols = await read('--dyn-syms');
  /** @type {Record<string, string>} */
  const versions = {};
  for (const [, library, version] of symbols.matchAll(/@(\w+)_([\d.]+)/g)) {
    if (versions[library] === undefined || byVersion(versions[library], version) < 0) versions[library] = version;
  }
  const dynamic = await read('-d');
  return {
    machine: /Machine:\s+(.*)/.exec(await read('-h'))[1].trim(),
    versions,
    needed: [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name),
    undefined: [...symbols.matchAll(/ UND (\w+)/g)].map(([, name]) => name),
    dynamic,
    segments: await read('-l'),
    sections: await read('-S'),
  };
}

/**
 * What is wrong with an addon, one sentence each.
 *
 * @param {Awaited<ReturnType<typeof inspect>>} facts
 * @param {string} machine
 * @returns {string[]}
 */
export function problems(facts, machine) {
  const { versions, needed, dynamic, segments, sections } = facts;
  const expectations = {
    [`is for ${machine}`]: facts.machine === machine,
    'has its relocations read-only (RELRO)': /GNU_RELRO/.test(segments),
    'binds every name at once (BIND_NOW)': /\(FLAGS\).*BIND_NOW/.test(dynamic) && /\(FLAGS_1\).*NOW/.test(dynamic),
    'has a stack that nothing runs on': /GNU_STACK(?:\s+0x\w+){5}\s+RW\s/.test(segments),
    'has no segment that can be written and run': !/\sRWE\s/.test(segments),
    'has no relocations in its code (TEXTREL)': !/TEXTREL/.test(dynamic),
    'looks for libraries nowhere else (RPATH)': !/R(?:UN)?PATH/.test(dynamic),
    'has its stack protected': facts.undefined.includes('__stack_chk_fail'),
    'was compiled with FORTIFY_SOURCE': facts.undefined.some((name) => /^__(?!stack_)\w+_chk$/.test(name)),
    'cannot be taken for one of musl': facts.undefined.includes('gnu_get_libc_version'),
    'is stripped': !/\.(?:symtab|debug_\w+)\s/.test(sections),
    'needs the C and the C++ library only': needed.every((name) =>
      ['libc.so.6', 'libstdc++.so.6', 'libm.so.6', 'libpthread.so.0', 'ld-linux-aarch64.so.1'].includes(name),
    ),
  };
  const wrong = Object.entries(expectations).filter(([, met]) => !met);
  const newer = Object.entries(versions).filter(
    ([library, version]) => floor[library] === undefined || byVersion(version, floor[library]) > 0,
  );
  return [
    ...wrong.map(([expected]) => `it is not so that it ${expected}`),
    ...newer.map(([library, version]) => `it asks for ${library}_${version}, and the floor is ${floor[library]}`),
  ];
}

/**
 * Builds one addon in two copies of the sources, and checks it.
 *
 * @param {keyof typeof targets} target
 * @param {string} output
 * @returns {Promise<{ sha256: string, size: number, versions: Record<string, string> }>}
 */
export async function prebuild(target, output) {
  const { compiler, machine } = targets[target];
  // Those of the oldest line: what is not in them is not to be used.
  const headers = [join(await nodeHome(majors[0]), 'include/node'), headersOfAddonApi()];
  const work = mkdtempSync(join(tmpdir(), 'listenfds-prebuild-'));
  try {
    const digests = [];
    for (const [root, file] of [
      [join(work, 'one'), output],
      [join(work, 'another, with a longer name'), join(work, 'again.node')],
    ]) {
      for (const part of ['binding.gyp', 'native']) cpSync(join(project, part), join(root, part), { recursive: true });
      // Optimised as a whole it is an eighth smaller. Not in binding.gyp: some compilers lack the linker for it.
      await buildAddon({ compiler, headers, output: file, root, flags: ['-flto'] });
      digests.push(createHash('sha256').update(readFileSync(file)).digest('hex'));
    }
    const facts = await inspect(output);
    const wrong = problems(facts, machine);
    if (digests[0] !== digests[1]) wrong.push('two builds differ');
    if (wrong.length > 0) throw new Error(`${output}: ${wrong.join('; ')}`);
    return { sha256: digests[0], size: readFileSync(output).length, versions: facts.versions };
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
    const { sha256, size, versions } = await prebuild(target, output);
    const asks = Object.entries(versions).map(([library, version]) => `${library}_${version}`);
    console.log(`${target}: ${size} bytes, at most ${asks.sort().join(' ')}, sha256 ${sha256}`);
  }
}
