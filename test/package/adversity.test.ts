// What is dangerous under adversity stands only where somebody has thought about it: a new one of a kind is a question here first.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';

const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);

/** How often a kind stands in each file, comments and quoted text left out. */
function places(kind: RegExp): Record<string, number> {
  const found: Record<string, number> = {};
  for (const file of files) {
    const code = readFileSync(join(root, 'src', file), 'utf8')
      .replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '')
      .replaceAll(/"[^"\n]*"|(?<!getBuiltinModule\()'[^'\n]*'/g, "''");
    const count = code.match(kind)?.length ?? 0;
    if (count > 0) found[file] = count;
  }
  return found;
}

for (const [what, kind, expected] of [
  [
    'the wall clock, which somebody may set: only what callers are told as a time of day',
    /\bDate\.now\(|\bnew Date\(/g,
    { 'service/drain.ts': 1, 'service/stop.ts': 1 },
  ],
  [
    'Promise.all(), where the first failure ends the wait for the others: only over parts that never fail, or whose others are undone',
    /\bPromise\.all\(/g,
    {
      'service/opening.ts': 1, // the others are closed
      'service/serve.ts': 1, // each resolves with the end of the process before
      'service/successor.ts': 1, // each resolves with the end of its connection
      'service/upgrade.ts': 1, // reads ahead: what cannot be read now is read when it is needed
    },
  ],
  [
    'notify(), which fails where the manager has no room: only where what is lost comes again. Else it is announce()',
    /(?<![.\w]|function )notify\(/g,
    { 'lend/speak-for-workers.ts': 1, 'manager/announce.ts': 1, 'manager/watchdog.ts': 1, 'service/voice.ts': 1 },
  ],
  [
    'the start of a process: somebody owns it until it has ended',
    /\bstartReleasable\(|(?<![.\w]|function )start\(command|\bgetBuiltinModule\('node:child_process'\)/g,
    {
      'cli/dispatcher.ts': 1, // with its family
      'cli/manager.ts': 1, // with its family
      'cli/systemctl.ts': 1, // waited for, by a deadline
      'cli/unit.ts': 1, // systemctl, which has a deadline of its own
      'programs/spawn.ts': 1, // which does it
      'service/upgrade.ts': 1, // ended where the upgrade fails
    },
  ],
] as const) {
  t.test(what, (t) => {
    t.same(places(kind), expected);
    t.end();
  });
}
