// Before tests run, dist/ is made what src/ is: test/support/fresh.js, which tap starts.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';

/** A checkout of files with the minute that each was changed in; its build writes a file, or fails. */
function checkout(files: Record<string, number>, build = 'touch built'): () => ReturnType<typeof run> {
  const folder = temporaryFolder(t);
  const put = (name: string, minute: number, text = ''): void => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
    utimesSync(join(folder, name), minute * 60, minute * 60);
  };
  for (const [name, minute] of Object.entries(files)) put(name, minute);
  put('package.json', 1, JSON.stringify({ type: 'module', scripts: { 'build:ts': build } }));
  mkdirSync(join(folder, 'test/support'), { recursive: true });
  cpSync(join(root, 'test/support/fresh.js'), join(folder, 'test/support/fresh.js'));
  const run = () => {
    const { status, stderr } = spawnSync(process.execPath, ['test/support/fresh.js'], {
      cwd: folder,
      encoding: 'utf8',
    });
    return { status, stderr, built: existsSync(join(folder, 'built')) };
  };
  return run;
}

const built = {
  '.git': 1,
  'src/text/a.ts': 2,
  'dist/listenfds.1': 3,
  'native/a.cc': 2,
  'build/Release/listenfds.node': 3,
};

t.test('dist/ is built again when a source is newer', async (t) => {
  t.same(checkout(built)(), { status: 0, stderr: '', built: false }, 'it is not when none is');
  const stale = checkout({ ...built, 'src/text/a.ts': 4 })();
  t.match(stale, { status: 0, stderr: 'dist/ is older than src/: building it', built: true });
  t.match(checkout({ '.git': 1, 'src/index.ts': 2 })(), { status: 0, built: true }, 'it is when there is no dist/');
});

t.test('no test runs when the sources do not compile', async (t) => {
  t.match(checkout({ ...built, 'src/text/a.ts': 4 }, 'echo error TS1 >&2; exit 2')(), {
    status: 2,
    stderr: 'error TS1',
  });
});

t.test('an addon older than its sources is said', async (t) => {
  t.match(checkout({ ...built, 'native/a.cc': 4 })().stderr, 'run npm run build:native');
});

t.test('a copy that is no checkout keeps the dist/ that it was given', async (t) => {
  const { '.git': _, ...copy } = built;
  t.same(checkout({ ...copy, 'src/text/a.ts': 4 })(), { status: 0, stderr: '', built: false });
});
