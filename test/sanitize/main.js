// npm run test:sanitize: builds the addon with the address and undefined-behaviour sanitizers in a copy of this package,
// runs the tests there that use it most, and then every function of the plain addon under valgrind. Prints the tests and
// the findings; any finding fails it. What is found in Node itself is none of ours and not counted.
// Needs g++ and valgrind.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';

const checkout = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'sanitize-'));
const copy = join(folder, 'package');
const reports = join(folder, 'reports');

/** The tests that use the addon most, but those that start programs through systemd-socket-activate(1), which clears the environment. */
const files = [
  'admit/peer',
  'listen/adopt',
  'manager/notify',
  'programs/spawn',
  'receive/describe',
  'receive/inherited',
  'sockets/message-queue',
  'sockets/netlink',
  'take/stdin',
];

function run(command, args, { cwd = copy, env = {}, ...options } = {}) {
  const { LD_PRELOAD: _, ...inherited } = process.env;
  return spawnSync(command, args, {
    cwd,
    env: { ...inherited, ...env },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    ...options,
  });
}

function build() {
  const left = ['.git', '.tap', 'build', 'node_modules'];
  cpSync(checkout, copy, { recursive: true, filter: (source) => !left.includes(basename(source)) });
  symlinkSync(join(checkout, 'node_modules'), join(copy, 'node_modules'));
  mkdirSync(reports);
  // No vptr: it needs the RTTI that the addon is built without.
  const sanitizers = '-fsanitize=address,undefined -fno-sanitize=vptr';
  const { status, stderr } = run('npx', ['node-gyp', 'rebuild', '--loglevel=error'], {
    env: {
      CXXFLAGS: `${sanitizers} -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g -O1`,
      LDFLAGS: sanitizers,
    },
  });
  if (status !== 0) throw new Error(`the sanitized addon cannot be built:\n${stderr}`);
}

/** The runtime of the sanitizer comes first in a program, and Node is not linked with it. */
function sanitized(leaks) {
  const library = run('g++', ['-print-file-name=libasan.so']).stdout.trim();
  // Every process writes what it finds into a file of its own: a test may expect a program to fail.
  const log = `log_path=${join(reports, 'report')}`;
  return {
    LD_PRELOAD: library,
    ASAN_OPTIONS: `${log}:detect_leaks=${leaks ? 1 : 0}:exitcode=${leaks ? 0 : 99}`,
    UBSAN_OPTIONS: `${log}:print_stacktrace=1`,
    LSAN_OPTIONS: 'max_leaks=0',
  };
}

/** What was found since the last time; of leaks, those whose memory the addon asked for. */
function findings() {
  const found = [];
  for (const name of readdirSync(reports)) {
    const text = readFileSync(join(reports, name), 'utf8');
    rmSync(join(reports, name));
    if (!text.includes('LeakSanitizer')) {
      found.push(text);
      continue;
    }
    const leaks = text.split('\n\n').filter((block) => /leak of \d+ byte/.test(block));
    // Frame 0 is malloc() or operator new.
    found.push(...leaks.filter((leak) => /^ +#[1-6] .*listenfds\.node/m.test(leak)));
  }
  return found;
}

const rows = [];
function report(what, tests, found, well) {
  for (const one of found) console.error(one);
  if (!well) console.error(`${what} failed`);
  rows.push({ what, tests, findings: found.length, well });
}

function callEverything() {
  const { status, stdout, stderr } = run(process.execPath, ['test/fixtures/native-calls.js', '20'], {
    env: sanitized(true),
  });
  const { calls, rounds } = status === 0 ? JSON.parse(stdout) : { calls: 0, rounds: 0 };
  if (status !== 0) console.error(stderr);
  report('ASan, UBSan and LSan: every function', calls * rounds, findings(), status === 0);
}

function callWithAnything() {
  const executions = '100000';
  const command = ['--expose-gc', 'test/fuzz/calls.js', executions];
  const { status, stdout, stderr } = run(process.execPath, command, { env: sanitized(false) });
  if (status !== 0) console.error(stdout, stderr);
  report('ASan and UBSan: arguments of any kind', Number(executions), findings(), status === 0);
}

function runTests() {
  const paths = files.map((name) => `test/${name}.test.ts`);
  const { status, stdout } = run('npx', ['tap', '--jobs=2', '--timeout=300', ...paths], {
    env: sanitized(false),
  });
  const passed = Number(/^# \{ total: \d+, pass: (\d+)/m.exec(stdout)?.[1] ?? 0);
  if (status !== 0) console.error(stdout);
  report(`ASan and UBSan: ${files.length} test files`, passed, findings(), status === 0);
}

function underValgrind() {
  const log = join(folder, 'valgrind.xml');
  const { status, stdout, stderr } = run(
    'valgrind',
    [
      '--leak-check=no',
      '--track-fds=no',
      // What valgrind calls at the end is gone in a process that has given back its memory: native/end-as.cc.
      '--run-libc-freeres=no',
      '--run-cxx-freeres=no',
      '--xml=yes',
      `--xml-file=${log}`,
      process.execPath,
      'test/fixtures/native-calls.js',
      '2',
    ],
    { cwd: checkout },
  );
  const text = readFileSync(log, 'utf8');
  const errors = text.match(/<error>.*?<\/error>/gs) ?? [];
  // What V8 does with memory is its own business: an error counts where the addon is on the stack. Leaks, which valgrind
  // looks for whenever it writes XML, are the leak sanitizer's part: what Node frees in a collection need not be freed here.
  const ours = errors.filter((error) => error.includes('listenfds.node') && !error.includes('<kind>Leak_'));
  const { calls, rounds } = status === 0 ? JSON.parse(stdout) : { calls: 0, rounds: 0 };
  if (status !== 0) console.error(stderr);
  report('valgrind: every function', calls * rounds, ours, status === 0);
}

try {
  build();
  callEverything();
  callWithAnything();
  runTests();
  underValgrind();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.table(rows);
const sum = (column) => rows.reduce((total, row) => total + row[column], 0);
console.log(`${sum('tests')} tests, ${sum('findings')} findings`);
process.exitCode = rows.every(({ findings: count, well }) => count === 0 && well) ? 0 : 1;
