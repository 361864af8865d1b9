// What all subcommands share: help, version, completion, the man page, and how mistakes are told.
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';
import { cli, command } from '../support/cli.ts';
import { without } from '../support/tools.ts';

const names = ['run', 'inspect', 'unit', 'upgrade', 'completion'];
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

t.test('--version, --help, and the help of each command with examples and exit statuses', async (t) => {
  t.match(await cli(t, ['--version']), { code: 0, stdout: `listenfds ${version}\n` });
  const general = await cli(t, ['--help']);
  t.equal(general.code, 0);
  for (const name of names) {
    t.match(general.stdout, new RegExp(`^  ${name} +\\w`, 'm'));
    const { code, stdout } = await cli(t, [name, '--help']);
    t.equal(code, 0);
    t.match(stdout, new RegExp(`^Usage: listenfds ${name} `));
    for (const part of ['Options', 'Examples', 'Exit status']) t.match(stdout, new RegExp(`^${part}:`, 'm'), part);
    t.match((await cli(t, ['help', name])).stdout, stdout);
  }
  t.ok(statSync(command).mode & 0o111, 'it can be executed');
});

t.test('mistakes are told on standard error, with a hint and status 2', async (t) => {
  for (const args of [
    [],
    ['no-such-command'],
    ['run', '--no-such-option'],
    ['inspect', '--json=yes'],
    ['completion'],
  ]) {
    const { code, stdout, stderr } = await cli(t, args);
    t.equal(code, 2, args.join(' '));
    t.equal(stdout, '');
    t.match(stderr, /^listenfds: .*\nhint: /);
  }
});

t.test('what follows the command is its own, options included, with -- or without', async (t) => {
  for (const dashes of [['--'], []]) {
    const { stdout } = await cli(t, [
      'unit',
      '--name',
      'x',
      '-l',
      '1',
      ...dashes,
      'node',
      '--name',
      '-l',
      '--',
      'a.js',
    ]);
    t.match(stdout, /^ExecStart=\S+\/node --name -l -- a\.js$/m);
    t.match(stdout, /^# x\.socket$/m);
  }
});

/** What bash offers for the last of these words. */
function offers(script: string, ...words: string[]): string[] {
  const body = `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _listenfds; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', body, 'bash', 'listenfds', ...words], { encoding: 'utf8' });
  if (stderr) throw new Error(stderr);
  return stdout.trim().split('\n');
}

t.test('bash completes commands, options, and their values', { skip: without('bash') }, async (t) => {
  const { stdout: script } = await cli(t, ['completion', 'bash']);
  t.strictSame(offers(script, 'u').toSorted(), ['unit', 'upgrade']);
  t.strictSame(offers(script, 'run', '--wa'), ['--watch']);
  t.strictSame(offers(script, 'unit', '--type', 'notify-'), ['notify-reload']);
  t.strictSame(offers(script, 'completion', ''), ['bash', 'zsh', 'fish']);
  t.ok(offers(script, 'run', '-l', '1', '--', 'ba').includes('bash'), 'a command behind --');
});

for (const shell of ['zsh', 'fish']) {
  t.test(`${shell} can read its script`, { skip: without(shell) }, async (t) => {
    const { stdout: script } = await cli(t, ['completion', shell]);
    for (const name of names) t.match(script, new RegExp(`\\b${name}\\b`));
    const args = shell === 'zsh' ? ['-f', '-n', '-c', script] : ['--no-execute', '-c', script];
    t.match(spawnSync(shell, args, { encoding: 'utf8' }), { status: 0, stderr: '' });
  });
}

t.test('fish offers what the table says', { skip: without('fish') }, async (t) => {
  const { stdout: script } = await cli(t, ['completion', 'fish']);
  const ask = `${script}\ncomplete -C 'listenfds unit --ty'`;
  t.match(spawnSync('fish', ['--no-config', '-c', ask], { encoding: 'utf8' }).stdout, /^--type\t/m);
});

t.test('the man page has no fault and every option', { skip: without('groff') }, async (t) => {
  const page = join(root, 'dist/listenfds.1');
  const { status, stderr } = spawnSync('groff', ['-man', '-ww', '-z', page], { encoding: 'utf8' });
  t.equal(status, 0);
  t.equal(stderr, '');
  const text = readFileSync(page, 'utf8').replaceAll('\\-', '-');
  for (const name of names) {
    const { stdout } = await cli(t, [name, '--help']);
    for (const [, option] of stdout.matchAll(/^ +(?:-\w, )?(--[a-z-]+)/gm)) t.match(text, option, `${name} ${option}`);
  }
});
