import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ListenFdsError } from 'listenfds';
import { root } from '../support/activate.ts';
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
  const rows = Object.entries(insides.remedies).map(([code, remedy]) => {
    const [, comment] = new RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\\s*${code}:`).exec(source)!;
    const when = comment!.replaceAll(/\s*\n\s*\*?\s*/g, ' ').trim();
    return [`\`${code}\``, withCode(when), withCode(`${remedy}.`)];
  });
  checkTable(t, 'docs/errors.md', 'errors', ['Code', 'When', 'What to do'], rows);
  t.end();
});
