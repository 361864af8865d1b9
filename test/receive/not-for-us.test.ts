// Sockets that were passed to a launcher before the program: whoever binds beside them hears of it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { activate, activateModule, root, type Activation, type Outcome, type Test } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { without } from '../support/tools.ts';

const skip = without('python3', 'sh');

// Listens on the port that ON= says, or any, and tells what came of it.
const library = `
  import { listen } from 'listenfds';
  const port = Number(process.env.ON ?? 0);
  const said = await listen(() => {}, { host: '127.0.0.1', port }).then(({ source }) => source, (error) => error.code + ': ' + error.message);
  process.stdout.write(JSON.stringify(said) + '\\n', () => process.exit());
`;
const unmodified = `
  require('node:http').createServer().on('error', ({ code }) => process.stdout.write(JSON.stringify(code) + '\\n', () => process.exit()))
    .listen(Number(process.env.ON ?? 0) || 1, '127.0.0.1', function () {
      process.stdout.write(JSON.stringify(this.address().port) + '\\n', () => process.exit());
    });
`;

const shell = ['sh', '-c', '"$@"; exit $?', 'sh'];

async function run(t: Test, source: string, activation: Activation): Promise<Outcome & { said: unknown }> {
  const outcome = await activateModule(t, source, activation).ended;
  if (outcome.stdout === '') throw new Error(outcome.stderr);
  return { ...outcome, said: JSON.parse(outcome.stdout.trim().split('\n').at(-1)!) };
}

const warnings = (stderr: string): string[] => stderr.match(/\[LISTENFDS_NOT_FOR_US\][^\n]*/g) ?? [];

t.test(
  'a shell that stays: a bind warns once, names the shell and what lets the program use the socket',
  { skip },
  async (t) => {
    const twice = library.replace('const said', "await listen(() => {}, '127.0.0.1:0');\n  const said");
    const { said, stderr } = await run(t, twice, { fds: ['tcp()'], through: shell });
    t.equal(said, 'bound');
    t.equal(warnings(stderr).length, 1);
    t.match(
      warnings(stderr)[0],
      /Sockets were passed, but LISTEN_PID=\d+ names another process, sh, and not this one \(pid \d+\)\. They are open in this process: LISTENFDS_PID=parent in its environment lets it use them/,
    );
  },
);

t.test('LISTENFDS_PID=parent lets it have them, and LISTENFDS_PID=any whoever is named', { skip }, async (t) => {
  const parent = await run(t, library, { fds: ['tcp()'], through: shell, env: { LISTENFDS_PID: 'parent' } });
  t.equal(parent.said, 'inherited');
  t.same(warnings(parent.stderr), []);
  t.equal((await run(t, library, { fds: ['tcp()'], pid: 1, env: { LISTENFDS_PID: 'any' } })).said, 'inherited');
  const refused = await run(t, library, { env: { LISTENFDS_PID: 'mine' } });
  t.match(refused.said, /^LISTENFDS_BAD_ENVIRONMENT: LISTENFDS_PID is "mine", but must be 'self', 'parent' or 'any'/);
});

t.test('an address in use: the error says who may have it', { skip }, async (t) => {
  const source = `
    import { createServer } from 'node:net';
    const other = createServer().listen(0, '127.0.0.1', async () => {
      process.env.ON = other.address().port;
      ${library.replace("import { listen } from 'listenfds';", "const { listen } = await import('listenfds');")}
    });`;
  const { said } = await run(t, source, { fds: ['tcp()'], pid: 1 });
  t.match(
    said,
    /^EADDRINUSE: listen EADDRINUSE: address already in use 127\.0\.0\.1:\d+ \(sockets were passed, but LISTEN_PID=1 names another process/,
  );
  const plain = await run(t, source, {});
  t.match(
    plain.said,
    /^EADDRINUSE: listen EADDRINUSE: address already in use 127\.0\.0\.1:\d+$/,
    'and nothing where nobody was passed any',
  );
});

t.test('descriptors that the launcher closed are not promised', { skip }, async (t) => {
  const { stderr } = await run(t, library, { fds: ['tcp()'], through: ['sh', '-c', '"$@" 3<&-; exit $?', 'sh'] });
  t.match(warnings(stderr)[0], /They are closed in this process, so it cannot use them\. Start the program itself/);
});

t.test('nobody warns of what was not passed, was not asked for, or is used', { skip }, async (t) => {
  for (const activation of [{}, { fds: ['tcp()'] }, { fds: ['tcp()'], pid: 1, env: { LISTENFDS: 'never' } }]) {
    t.same(warnings((await run(t, library, activation)).stderr), [], JSON.stringify(activation));
  }
});

const register = join(root, 'dist/register.cjs');
const preloaded = [process.execPath, '--require', register, '--eval', unmodified];

t.test(
  'the preload: a program that knows nothing of it warns as well, or has the socket of its parent',
  { skip },
  async (t) => {
    const warned = await activate(t, preloaded, { fds: ['tcp()'], through: shell, env: { ON: '0' } }).ended;
    t.equal(warnings(warned.stderr).length, 1);
    const lent = await activate(t, preloaded, { fds: ['tcp()'], through: shell, env: { LISTENFDS_PID: 'parent' } })
      .ended;
    t.same(warnings(lent.stderr), []);
    t.ok(Number(lent.stdout) > 1, 'it listens on the port that was passed');
  },
);

t.test('the preload in a launcher leaves everything to its program', { skip: skip || without('npm') }, async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'app.cjs'), unmodified);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ scripts: { start: `${process.execPath} app.cjs` } }));
  const env = { NODE_OPTIONS: `--require=${register}`, ON: '1', HOME: folder };
  const npm = await activate(t, ['npm', 'start'], { fds: ['tcp()'], cwd: folder, env }).ended;
  t.match(warnings(npm.stderr), [/names another process, npm start, and not this one/]);
  const watch = activate(t, [process.execPath, '--watch', 'app.cjs'], { fds: ['tcp()'], cwd: folder, env });
  await watch.line();
  await watch.kill();
  t.match(warnings(watch.stderr), [/LISTEN_PID=\d+ names another process.*They are closed in this process/]);
});
