// What coverage is measured with finds the files that it is about: a name that is gone would count as nothing run.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { reasons } from '../../scripts/coverage/reasons.js';
import { activate, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';

t.test('a process writes the counts of what it ran of dist/', async (t) => {
  const folder = temporaryFolder(t);
  const hook = pathToFileURL(join(root, 'scripts/coverage/hook.js')).href;
  const program = `import 'listenfds'; import 'node:http';`;
  const running = activate(t, [process.execPath, `--import=${hook}`, '--input-type=module', '--eval', program], {
    cwd: root,
    env: { COVERAGE_FOLDER: folder },
  });
  t.match(await running.ended, { code: 0 });
  const scripts = readdirSync(folder).flatMap((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')));
  t.same([...new Set(scripts.map(({ file }) => file))], ['index.js']);
});

t.test('every reason is about a file that there is', (t) => {
  t.same(
    Object.keys(reasons).filter((path) => !existsSync(join(root, path))),
    [],
  );
  t.end();
});
