// The release workflow: what may publish runs no code of a development dependency.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';

t.test('the job that may publish installs nothing of the lock file, and the one that does may not publish', (t) => {
  const workflow = readFileSync(join(root, '.github/workflows/release.yml'), 'utf8');
  const [before = '', publish = ''] = workflow.split(/^ {2}publish:$/m);
  t.match(before, /^\s+- run: npm ci$/m);
  t.match(before, /^\s+- run: npm run package$/m, 'npm pack is refused');
  t.notMatch(before, /id-token|npm publish|environment:/);
  t.match(publish, /^\s+id-token: write/m);
  t.match(publish, /--ignore-scripts/);
  t.notMatch(publish, /npm ci|npm run|checkout|node scripts/);
  t.end();
});
