// The release workflow: what may publish runs no code of a development dependency.
import { readdirSync, readFileSync } from 'node:fs';
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

t.test('actions are those of a commit, and the headers of the addon those of the lock file', (t) => {
  const folder = join(root, '.github/workflows');
  const uses = readdirSync(folder).flatMap((file) => readFileSync(join(folder, file), 'utf8').match(/uses: .*/g) ?? []);
  t.ok(uses.length > 0);
  for (const one of uses) t.match(one, /^uses: [\w-]+\/[\w-]+@[0-9a-f]{40}(?: |$)/);
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  for (const name of ['node-addon-api', 'node-api-headers'])
    t.match(packages[`node_modules/${name}`], { integrity: /^sha512-/ }, name);
  t.ok(readFileSync(join(root, 'scripts/prebuild.js'), 'utf8').includes('const headers = headersFromNpm();'));
  t.end();
});
