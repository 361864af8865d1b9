// What only some benchmarks need is in the package.json of this folder, not in that of the project: an `npm install` of the project
// is smaller without it. It is installed when one of these benchmarks is asked for.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = import.meta.dirname;
const users = ['register', 'restart', 'run', 'throughput'];

/** @param {readonly string[]} benches the names of those that will run */
export function installNeeded(benches) {
  if (!benches.some((name) => users.includes(name))) return;
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  if (Object.keys(dependencies).every((name) => existsSync(join(folder, 'node_modules', name)))) return;
  const args = ['install', '--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} in ${folder} failed`);
}
