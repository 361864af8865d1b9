// The package as it is published: what is in it, what the shipped addons ask of a machine, and that it can be built where
// none of them fits.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { cleanEnvironment } from '../../scripts/node-versions.js';
import { inspect, namesOfMusl, problems, targets } from '../../scripts/prebuild.js';
import { activate } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { packed } from '../support/packed.ts';
import { without } from '../support/tools.ts';

const compilers = Object.values(targets).map(({ compiler }) => compiler);
const skip = without(...compilers, 'readelf', 'python3');

// It may have to pack first: four builds of the addon and one of everything else, beside whatever else runs on the machine.
t.setTimeout(400_000);

t.test('the package', { skip }, async (t) => {
  const tarball = await packed();
  const project = join(temporaryFolder(t), 'a project');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }');
  const installed = join(project, 'node_modules/listenfds');
  const program = (env: Record<string, string> = {}) =>
    activate(
      t,
      [
        process.execPath,
        '--input-type=module',
        '--eval',
        `import { listenFds } from 'listenfds';
        try { console.log(JSON.stringify(listenFds().map(({ kind }) => kind))); }
        catch ({ code, message }) { console.log(JSON.stringify({ code, message })); }`,
      ],
      { fds: ['tcp()'], cwd: project, env },
    );

  t.ok(statSync(tarball).size <= 200_000, `${statSync(tarball).size} bytes`);

  await t.test('installs without the registry, without scripts, and without anything beside it', async (t) => {
    execFileSync('npm', ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', tarball], {
      cwd: project,
      env: cleanEnvironment(),
      stdio: 'ignore',
    });
    t.same(
      readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.')),
      ['listenfds'],
    );
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    const unwanted = [
      'dependencies',
      'optionalDependencies',
      'peerDependencies',
      'devDependencies',
      'scripts',
      'private',
    ];
    t.same(
      unwanted.filter((name) => name in manifest),
      [],
    );
    t.notOk(existsSync(join(installed, 'binding.gyp')), 'npm would take it for an install script');
    const core = readFileSync(join(installed, 'dist/index.js'));
    t.ok(
      core.every((byte) => byte < 128),
      'the core is ASCII: else V8 keeps it in two bytes a character',
    );
    t.same(await program().json(), ['socket']);
  });

  await t.test('has what it says', (t) => {
    const content = readdirSync(installed, { recursive: true }) as string[];
    for (const name of ['README.md', 'LICENSE', 'native/binding.gyp', 'native/build.js', 'dist/index.d.ts']) {
      t.ok(content.includes(name), name);
    }
    const links = readFileSync(join(installed, 'README.md'), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g);
    t.same(
      [...links].map(([, path]) => path).filter((path) => !content.includes(path!)),
      [],
      'every link of the README leads to a file',
    );
    t.notOk(
      content.some((name) => name.endsWith('.map')),
      'no source maps',
    );
    const code = readdirSync(join(installed, 'dist')).filter((name) => /\.c?js$/.test(name));
    for (const name of code) t.notMatch(readFileSync(join(installed, 'dist', name), 'utf8'), 'sourceMappingURL', name);
    // Every declaration that one of them asks for is there.
    for (const name of content.filter((name) => name.endsWith('.d.ts'))) {
      const text = readFileSync(join(installed, name), 'utf8');
      for (const [, path] of text.matchAll(/(?:from |import\()'(\.[^']+)\.js'/g)) {
        t.ok(content.includes(join(dirname(name), `${path}.d.ts`)), `${path} of ${name}`);
      }
    }
    t.end();
  });

  for (const [name, target] of Object.entries(targets)) {
    await t.test(
      `its addon for ${name} is hardened, needs no library, and asks for what every C library has`,
      async (t) => {
        const facts = await inspect(join(installed, 'prebuilds', name, 'listenfds.node'));
        t.same(problems(facts, target, await namesOfMusl()), []);
      },
    );
  }

  await t.test('tells where no addon fits what builds one, and that works', async (t) => {
    rmSync(join(installed, 'prebuilds'), { recursive: true });
    const { code, message } = await program().json();
    t.equal(code, 'LISTENFDS_NO_ADDON');
    t.match(message, join(installed, `prebuilds/linux-${process.arch}/listenfds.node`));
    t.match(message, join(installed, 'build/Release/listenfds.node'));
    const [, command] = /To build it: (.*?)\. Build it/.exec(message)!;
    const env = cleanEnvironment();
    const build = (more: object) =>
      spawnSync('sh', ['-c', command!], { cwd: project, encoding: 'utf8', env: { ...env, ...more } });
    const without = build({ CXX: 'no-such-compiler' });
    t.match([without.status, without.stderr], [1, /There is no no-such-compiler: a C\+\+ compiler is needed/]);
    const built = build({});
    t.equal(built.status, 0, built.stderr);
    t.equal(built.stdout.trim().split('\n').at(-1), join(installed, 'build/Release/listenfds.node'));
    t.same(await program().json(), ['socket']);
  });
});
