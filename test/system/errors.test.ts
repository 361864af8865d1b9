import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ListenFdsError, type ErrorCode } from 'listenfds';
import { root } from '../support/activate.ts';
import { cli } from '../support/cli.ts';
import * as insides from '../../dist/insides.js';
import { checkTable } from '../support/table.ts';

t.test('an error says what was found and what to do, and is recognised across two copies of the package', (t) => {
  const error = new ListenFdsError('LISTENFDS_TAKEN', 'fd 3 was already taken', { fd: 3 });
  t.match(error.message, /^fd 3 was already taken\. Take each descriptor once/);
  t.equal(error.code, 'LISTENFDS_TAKEN');
  t.equal(error.fd, 3);
  const copy = Object.assign(new Error('from another copy'), { [Symbol.for('listenfds.error')]: true });
  t.ok(copy instanceof ListenFdsError);
  t.notOk(new Error('mine') instanceof ListenFdsError);
  t.end();
});

t.test('docs/errors.md has every code', (t) => {
  const withCode = (text: string) => text.replaceAll(/\b[A-Z]+_[A-Z_*]*/g, '`$&`');
  const source = readFileSync(join(root, 'src/system/errors.ts'), 'utf8');
  t.strictSame(
    Object.keys(insides.errorTable()),
    [...source.matchAll(/^  \| '(\w+)'/gm)].map(([, code]) => code),
    'the type has the codes of the table',
  );
  const rows = Object.entries(insides.errorTable()).map(([code, { when, todo }]) => [
    `<a id="${code.toLowerCase()}"></a>\`${code}\``,
    withCode(when),
    withCode(todo),
  ]);
  checkTable(t, 'docs/errors.md', 'errors', ['Code', 'When', 'What to do'], rows);
  t.end();
});

t.test('a message ends with its place in docs/errors.md, and `listenfds explain` prints that row', async (t) => {
  const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
  for (const [code, { todo }] of Object.entries(insides.errorTable())) {
    const { message } = new ListenFdsError(code as ErrorCode, 'found');
    const [, anchor = ''] = /^found\. .+\. \(docs\/errors\.md#(\w+)\)$/.exec(message) ?? [];
    t.ok(page.includes(`<a id="${anchor}"></a>\`${code}\``), `${code} is at #${anchor}`);
    t.ok(message.includes(todo));
  }
  t.match(await cli(t, ['explain', 'LISTENFDS_TAKEN']), {
    code: 0,
    stdout: /^LISTENFDS_TAKEN\n\nWhen: take\(\) was called twice .*\nWhat to do: Take each descriptor once /,
  });
  t.match(await cli(t, ['explain', 'taken']), { code: 0, stdout: /^LISTENFDS_TAKEN\n/ });
  t.match(await cli(t, ['explain', 'LISTENFDS_TAKN']), { code: 2, stderr: /did you mean LISTENFDS_TAKEN\?/ });
  t.match(await cli(t, ['explain', 'nonsense']), { code: 2, stderr: /the codes are LISTENFDS_/ });
  t.match(await cli(t, ['explain']), { code: 2, stderr: /give the code of one error/ });
});
