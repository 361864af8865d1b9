// listenfds explain CODE: when an error comes, and what to do about it. docs/errors.md has the same table.
import { errorTable } from '../system/errors.js';
import { nearest } from '../text/options.js';
import { type CommandLine, UsageError } from './command-line.js';
import { write } from './terminal.js';

export function explain(line: CommandLine): number {
  const [asked = '', ...more] = line.operands;
  const short = asked.toUpperCase().replace(/^LISTENFDS_/, '');
  const code = `LISTENFDS_${short}`;
  if (asked === '' || more.length > 0)
    throw new UsageError('give the code of one error', 'listenfds explain LISTENFDS_TAKEN');
  const table = new Map(Object.entries(errorTable()));
  const row = table.get(code);
  if (!row) {
    const known = [...table.keys()];
    // All of them begin alike: what follows must be like something that follows.
    const meant = nearest(
      short,
      known.map((one) => one.replace(/^LISTENFDS_/, '')),
    );
    throw new UsageError(
      `there is no error ${asked}`,
      meant ? `did you mean LISTENFDS_${meant}?` : `the codes are ${known.join(', ')}`,
    );
  }
  write(1, `${code}\n\nWhen: ${row.when}\nWhat to do: ${row.todo}\n`);
  return 0;
}
