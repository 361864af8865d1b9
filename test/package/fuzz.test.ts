// The parsers in native/, under the sanitizers, with what test/fuzz keeps: valid input, and what once was an error.
// `npm run fuzz` looks for more.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { unless, without } from '../support/tools.ts';
import { compile, inputs, targets } from '../fuzz/targets.js';

const sanitizes = (): boolean =>
  spawnSync('g++', ['-fsanitize=address,undefined', '-x', 'c++', '-', '-o', '/dev/null'], {
    input: 'int main() {}',
  }).status === 0;
const skip = without('g++') || unless(sanitizes(), 'needs the sanitizers of g++');

for (const target of Object.keys(targets)) {
  t.test(`${target} takes every input that is kept for it`, { skip }, async (t) => {
    const files: string[] = inputs(target);
    t.ok(files.length > 0);
    const program = join(temporaryFolder(t), target);
    compile(target, program, { fuzzer: false });
    const { status, stdout, stderr } = spawnSync(program, files, { encoding: 'utf8' });
    t.equal(status, 0, stderr);
    t.equal(Number(stdout), files.length);
  });
}

t.test('every file of native/ that can do without Node-API is a target', async (t) => {
  const native = join(root, 'native');
  const texts = readdirSync(native)
    .filter((file) => file.endsWith('.cc'))
    .map((file) => {
      const header = join(native, file.replace(/cc$/, 'h'));
      return {
        file,
        text: [join(native, file), header]
          .filter((one) => existsSync(one))
          .map((one) => readFileSync(one, 'utf8'))
          .join(''),
      };
    });
  const pure = texts.filter(({ text }) => /No Node-API/.test(text)).map(({ file }) => file);
  t.same(new Set(Object.values(targets)), new Set(pure));
  for (const { file, text } of texts) if (pure.includes(file)) t.notMatch(text, /napi\.h/, file);
});

t.test('every function of the addon takes arguments of any kind', { timeout: 180_000 }, async (t) => {
  const executions = 5_000;
  // Another seed in every run: a failure prints it.
  const command = ['--expose-gc', join(root, 'test/fuzz/calls.js'), String(executions)];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, command, {
    encoding: 'utf8',
    timeout: 150_000,
  });
  t.match({ status, signal }, { status: 0, signal: null }, stderr);
  t.match(JSON.parse(stdout), { executions, functions: functionsOfTheAddon() });
  t.comment(stdout);
});

/** As many as the table has rows. */
function functionsOfTheAddon(): number {
  return readFileSync(join(root, 'native/addon.cc'), 'utf8').match(/^ +\{"\w+", /gm)!.length;
}

const clang = spawnSync('clang++', ['-fsanitize=fuzzer', '-x', 'c++', '-', '-o', '/dev/null'], {
  input: 'extern "C" int LLVMFuzzerTestOneInput(const char*, long) { return 0; }',
});

// Not even in CI, where clang would be half of what is installed.
t.test('npm run fuzz prints the executions', { skip: clang.status === 0 ? false : 'needs clang' }, async (t) => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [join(root, 'test/fuzz/main.js'), ...args], { encoding: 'utf8' });
  const { status, stdout, stderr } = run('1', 'accept-queue-answer');
  t.equal(status, 0, stderr);
  t.match(stdout, /^[1-9][0-9]+ executions, 0 findings$/m);
  t.match(run('1', 'nothing'), { status: 2, stderr: /There is no target nothing/ });
});
