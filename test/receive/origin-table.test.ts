// The table of docs/maintainers/design.md says of each origin what src/receive/origin.ts decides; what is decided is shown under a
// real systemd in test/systemd/origin-table.test.ts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import * as origins from '../../src/receive/origin.ts';
import { root } from '../support/activate.ts';

const page = readFileSync(join(root, 'docs/maintainers/design.md'), 'utf8');

const rows = new Map(
  [...page.matchAll(/^\| `(manager|store|predecessor|self)` +\|(.*)\|$/gm)].map(([, origin, rest]) => [
    origin as origins.Origin,
    rest!.split('|').map((cell) => cell.trim()),
  ]),
);

/** What a function says, in the words of the table's cell. */
const columns: [name: string, cell: (origin: origins.Origin) => string][] = [
  [
    'Who keeps it when this process ends',
    (origin) =>
      ({ manager: 'the manager', store: 'the manager, over a restart only', nobody: 'nobody' })[
        origins.keptBy(origin) ?? 'nobody'
      ],
  ],
  ['Whose address counts', (origin) => (origins.isAddressOurs(origin) ? "the program's" : "the unit's")],
  ['Its queue at the end', (origin) => (origins.doesQueueStay(origin) ? 'stays' : 'accepted before we close')],
  ['Idle exit', (origin) => (origins.startsUsAgain(origin) ? 'yes' : 'no')],
];

t.test('the table of the origins says what is decided', (t) => {
  t.same([...rows.keys()], ['manager', 'store', 'predecessor', 'self']);
  const [, header] = /^\| `origin` +\|(.*)\|$/m.exec(page)!;
  const names = header!.split('|').map((cell) => cell.trim());
  t.same(
    names.slice(0, columns.length),
    columns.map(([name]) => name),
  );
  for (const [origin, cells] of rows) {
    for (const [i, [name, cell]] of columns.entries()) {
      t.ok(cells[i]!.startsWith(cell(origin)), `${origin}, ${name}: ${cells[i]}`);
    }
    t.equal(origins.sourceOf(origin), origin === 'self' ? 'bound' : 'inherited');
  }
  t.end();
});
