// scripts/matrix.js says what it knows. What it runs are the other tests.
import { join } from 'node:path';
import t from 'tap';
import { activate, root } from '../support/activate.ts';

const command = [process.execPath, join(root, 'scripts/matrix.js')];

t.test('--list names every target, and an unknown one is refused with them', async (t) => {
  const { stdout, code } = await activate(t, [...command, '--list']).ended;
  t.equal(code, 0);
  t.same(stdout.trim().split('\n'), [
    'node20',
    'node22',
    'node24',
    'node26',
    'musl20',
    'musl22',
    'musl24',
    'musl26',
    'arm64',
    'systemd-sid',
  ]);
  const unknown = await activate(t, [...command, '--only', 'node18']).ended;
  t.equal(unknown.code, 2);
  t.match(unknown.stderr, 'There is no node18.');
  t.equal(unknown.stdout, stdout);
});

t.test('a test file that does not exist is refused, and those of arm64 exist', async (t) => {
  const { stderr, code } = await activate(t, [...command, '--only', 'node26', 'test/admit/nothing.test.ts']).ended;
  t.equal(code, 2);
  t.equal(stderr, 'There is no test test/admit/nothing.test.ts.\n');
});
