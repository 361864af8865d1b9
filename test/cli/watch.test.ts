// What --watch notices while a build replaces the folders that it watches.
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Watch } from '../../src/cli/watch.ts';
import { cli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';

/** Waits for changes, which keep no process alive. */
function watch(t: Test, glob: string): { change(): Promise<string> } {
  const seen: string[] = [];
  let wake: () => void = () => {};
  new Watch([glob], (file) => {
    seen.push(file);
    wake();
  });
  const alive = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(alive));
  return {
    async change() {
      while (seen.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      // What happens to several files at once is one change.
      await new Promise((resolve) => setTimeout(resolve, 50));
      return seen.splice(0).at(-1)!;
    },
  };
}

const swaps: Record<string, (folder: string) => void> = {
  'is removed and made anew'(folder) {
    rmSync(join(folder, 'dist'), { recursive: true });
    mkdirSync(join(folder, 'dist'));
    writeFileSync(join(folder, 'dist/app.js'), '2');
  },
  'is moved away and another takes its place'(folder) {
    mkdirSync(join(folder, 'new'));
    writeFileSync(join(folder, 'new/app.js'), '2');
    renameSync(join(folder, 'dist'), join(folder, 'old'));
    renameSync(join(folder, 'new'), join(folder, 'dist'));
  },
};

for (const [what, swap] of Object.entries(swaps)) {
  for (const glob of ['dist/**', 'dist/*.js', 'dist', '**/*.js']) {
    t.test(`a folder of ${glob} that ${what} is watched on`, async (t) => {
      const folder = temporaryFolder(t);
      mkdirSync(join(folder, 'dist'));
      writeFileSync(join(folder, 'dist/app.js'), '1');
      const changes = watch(t, join(folder, glob));
      swap(folder);
      await changes.change();
      writeFileSync(join(folder, 'dist/app.js'), '3');
      t.equal(await changes.change(), join(folder, 'dist/app.js'));
    });
  }
}

t.test('where the folder does not exist, run ends and leaves nothing open', async (t) => {
  const folder = temporaryFolder(t);
  const glob = join(folder, 'nothing/**');
  const { code, stderr } = await cli(t, ['run', '-l', '127.0.0.1:0', '--now', '--watch', glob, '--', 'true']);
  t.equal(code, 1);
  t.match(stderr, /there is no directory .*nothing/);
  t.notMatch(stderr, /started/);
});
