import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { root } from '../support/activate.ts';
import { withoutOtherUsers } from '../support/as.ts';
import { cli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { without } from '../support/tools.ts';

const analyze = (...args: string[]) => spawnSync('systemd-analyze', args, { encoding: 'utf8' });

async function written(t: Test, ...args: string[]): Promise<string> {
  const folder = temporaryFolder(t);
  const { code, stderr } = await cli(t, ['unit', '--output', folder, ...args]);
  t.equal(code, 0, stderr);
  return folder;
}

const plans: [string, string[]][] = [
  ['a pair', ['-l', '3000']],
  ['a socket unit for each name', ['-l', '3000', '-l', 'admin=/run/web/admin.sock', '--datagram', 'log=@log']],
  ['a template', ['-l', '3000', '--template', '--compile-cache']],
  ['no network', ['-l', '3000', '--private-network', '--run-as', 'daemon', '--type', 'exec', '--watchdog', '30s']],
];

t.test('the units that are written', { skip: without('systemd-analyze') }, async (t) => {
  for (const [what, options] of plans) {
    await t.test(`${what}: systemd finds nothing wrong with them, and nothing that they should deny`, async (t) => {
      const folder = await written(t, '--name', 'web', ...options, '--', 'node', 'server.js');
      const files = readdirSync(folder).map((file) => join(folder, file));
      const { status, stdout, stderr } = analyze('verify', ...files);
      t.equal(status, 0);
      t.equal(stdout + stderr, '');
      const service = files.find((file) => file.endsWith('.service'))!;
      const [, level] = /exposure level for \S+: ([0-9.]+)/.exec(
        analyze('security', '--offline=true', service).stdout,
      )!;
      t.ok(Number(level) < 3, `exposure level ${level}`);
    });
  }

  await t.test('for a service manager of one’s own: systemd finds nothing wrong with them', async (t) => {
    const folder = await written(t, '--name', 'web', '--user', '-l', '3000', '--', 'node', 'server.js');
    const files = readdirSync(folder).map((file) => join(folder, file));
    const env = { ...process.env, XDG_RUNTIME_DIR: temporaryFolder(t) };
    const { status, stderr } = spawnSync('systemd-analyze', ['--user', 'verify', ...files], { env, encoding: 'utf8' });
    t.equal(status, 0);
    t.equal(stderr, '');
  });
});

t.test('the command arrives in ExecStart= as it was written', async (t) => {
  const odd = ['node', 'a b.js', '50%', '$HOME', 'say "hi"', "it's", 'back\\slash', '', ';', 'tab\there'];
  const { stdout } = await cli(t, ['unit', '--name', 'web', '-l', '3000', '--', ...odd]);
  t.match(
    /^ExecStart=(.*)$/m.exec(stdout)![1],
    `/node "a b.js" 50%% $$HOME "say \\"hi\\"" "it's" "back\\\\slash" "" ";" "tab\\there"`,
  );
});

t.test('--upgrade and --preload name files that are there, by their whole paths', async (t) => {
  const folder = temporaryFolder(t);
  const unit = async (...args: string[]) =>
    (await cli(t, ['unit', '--name', 'web', '-l', '3000', ...args], { cwd: folder })).stdout;
  const own = (name: string) => join(root, 'dist', name);
  t.match(
    await unit('--upgrade', '--', 'node', 'app.js'),
    `ExecReload=${process.execPath} ${own('cli.js')} upgrade $MAINPID\n`,
  );
  const preloaded = await unit('--preload', '--', 'node', 'app.js');
  t.match(preloaded, `/node --require ${own('register.cjs')} app.js\n`);
  t.match(preloaded, '\nType=notify\n', 'the preload says READY=1');
  t.match(await unit('--preload', '--', '/bin/true'), `\nEnvironment=NODE_OPTIONS=--require=${own('register.cjs')}\n`);

  const beside = join(folder, 'node_modules/listenfds/dist');
  mkdirSync(beside, { recursive: true });
  for (const name of ['cli.js', 'register.cjs']) writeFileSync(join(beside, name), '');
  const both = await unit('--upgrade', '--preload', '--', 'node', 'app.js');
  t.match(both, `ExecReload=${process.execPath} ${join(beside, 'cli.js')} upgrade $MAINPID\n`);
  t.match(both, `/node --require ${join(beside, 'register.cjs')} app.js\n`);
  t.match(await cli(t, ['unit', '--quadlet', 'x', '-l', '3000', '--upgrade', '--', 'node']), {
    code: 2,
    stderr: /--upgrade and --quadlet do not go together/,
  });
});

t.test('a template keeps its instance specifier', async (t) => {
  const { stdout } = await cli(t, ['unit', '--name', 'web', '--template', '-l', '3000', 'node', '/srv/%i/50%.js']);
  t.match(stdout, /^ExecStart=\S*\/node \/srv\/%i\/50%%.js$/m);
  t.match(stdout, /^Service=web@blue.service$/m);
  t.match(stdout, /^Sockets=web.socket$/m);
});

t.test('a type that systemd does not know is none here', async (t) => {
  const unknown = await cli(t, ['unit', '--name', 'web', '-l', '3000', '--type', 'forking', '--', 'node', 'app.js']);
  t.match(unknown, { code: 2, stderr: /--type forking: not known/ });
});

t.test('a quadlet leaves the command to the image', async (t) => {
  const { stdout, code } = await cli(t, ['unit', '--name', 'web', '--quadlet', 'img', '-l', '80', 'no-such-program']);
  t.equal(code, 0);
  t.match(stdout, /^# web.container$/m);
  t.match(stdout, /^Exec=no-such-program$/m);
  t.notMatch(stdout, 'Notify=true', 'podman says READY=1 for a program that may not');
  const node = await cli(t, ['unit', '--name', 'web', '--quadlet', 'img', '-l', '80', 'node', 'app.js']);
  t.match(node.stdout, /^Notify=true$/m);
  t.match(stdout, /^ListenStream=80$/m);
});

t.test('a file that differs is not overwritten, and then none is, unless told so', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'web.service'), 'mine');
  const args = ['unit', '--name', 'web', '-l', '3000', '-o', folder];
  const refused = await cli(t, [...args, 'node', 'server.js']);
  t.equal(refused.code, 1);
  t.match(refused.stderr, `not overwritten: ${join(folder, 'web.service')}`);
  t.match(refused.stderr, '--force');
  t.strictSame(readdirSync(folder), ['web.service']);
  const forced = await cli(t, [...args, '--force', 'node', 'server.js']);
  t.equal(forced.code, 0);
  t.match(readFileSync(join(folder, 'web.service'), 'utf8'), 'ExecStart=');
  const again = await cli(t, [...args, '--force', 'node', 'server.js']);
  t.equal(again.code, 0, 'the same files may be written again');
});

t.test('--install puts them where systemd looks and starts the sockets only', async (t) => {
  const folder = temporaryFolder(t);
  // A systemctl that says what it is told: the real one is tested in test/systemd.
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin/systemctl'), '#!/bin/sh\necho "systemctl $*"\n', { mode: 0o755 });
  symlinkSync(process.execPath, join(folder, 'bin/node'));
  const env = { XDG_CONFIG_HOME: join(folder, 'config'), PATH: `${join(folder, 'bin')}:${process.env['PATH']}` };
  const { stdout, code } = await cli(
    t,
    ['unit', '--user', '--name', 'web', '-l', '3000', '--install', 'node', 'server.js'],
    { env },
  );
  t.equal(code, 0);
  t.strictSame(stdout.trim().split('\n'), [
    join(folder, 'config/systemd/user/web.socket'),
    join(folder, 'config/systemd/user/web.service'),
    'systemctl --user daemon-reload',
    'systemctl --user enable --now web.socket',
  ]);
});

const smuggled = ['\nExecStartPre=+/bin/true', '\rExecStartPre=+/bin/true', '\u2028x', '\x7f', ' ', '\\'];

t.test('nothing that was written becomes a directive of its own', async (t) => {
  const folder = temporaryFolder(t);
  await Promise.all(
    smuggled.map(async (text) => {
      const cases: [string, string[], string?][] = [
        ['-l', ['-l', `/run/web${text}`]],
        ['--datagram', ['--datagram', `@web${text}`]],
        ['--run-as', ['-l', '1', '--run-as', `daemon${text}`]],
        ['--quadlet', ['-l', '1', '--quadlet', `img${text}`]],
        ['--idle-timeout', ['-l', '1', '--idle-timeout', `5s${text.slice(0, 1)}5s`]],
      ];
      const cwd = join(folder, `app${text.replaceAll('/', '_')}`);
      mkdirSync(cwd);
      cases.push(['the folder', ['-l', '1'], cwd]);
      for (const [what, args, cwd] of cases) {
        const unit = ['unit', '--name', 'web', ...args, '--', process.execPath];
        const { code, stdout, stderr } = await cli(t, unit, cwd === undefined ? {} : { cwd });
        // Between two parts of a time span a blank is none too many.
        if (what === '--idle-timeout' && text === ' ') continue;
        t.equal(code, 2, `${what} with U+${text.charCodeAt(0).toString(16)}`);
        t.match(stderr, /cannot be written into a unit file|is not a time span/);
        t.equal(stdout, '');
      }
      const { stdout } = await cli(t, ['unit', '--name', 'web', '-l', '1', '--', process.execPath, `x${text}`]);
      t.notMatch(stdout, /^ExecStartPre/m, `an argument with U+${text.charCodeAt(0).toString(16)}`);
      t.notMatch(stdout, /\r|\x7f/, 'nor in the line that says who wrote it');
    }),
  );
});

t.test(
  'a link of somebody else’s in the folder is not written through',
  { skip: withoutOtherUsers() || without('python3') },
  async (t) => {
    const folder = temporaryFolder(t);
    chmodSync(folder, 0o755);
    const theirs = join(folder, 'theirs');
    mkdirSync(theirs);
    chownSync(theirs, 1234, 1234);
    const precious = join(folder, 'precious');
    writeFileSync(precious, 'precious', { mode: 0o600 });
    // Every name with a pid that the command could have.
    const last = Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[4]);
    const most = Number(readFileSync('/proc/sys/kernel/pid_max', 'utf8'));
    for (let i = 1; i < 3000; i++) {
      symlinkSync(precious, join(theirs, `web.socket.${(last + i) % most}.tmp`));
    }
    const { code, stderr } = await cli(t, ['unit', '--name', 'web', '-l', '1', '-o', theirs, process.execPath]);
    t.equal(code, 0, stderr);
    t.equal(readFileSync(precious, 'utf8'), 'precious');
    t.ok(lstatSync(join(theirs, 'web.socket')).isFile());
  },
);

const mistakes: [string, string[], number, string][] = [
  ['no command', ['-l', '3000'], 2, 'no command was given'],
  ['no socket', ['node', 'server.js'], 2, 'no socket was asked for'],
  ['a program that is not there', ['-l', '3000', 'no-such-program'], 1, 'no-such-program: not found'],
  ['no port', ['-l', '0', 'node'], 2, 'systemd needs a port'],
  ['a relative path', ['-l', 'run/web.sock', 'node'], 2, 'Write the path from the root'],
  ['a name that is none', ['-l', '1', '--name', 'a/b', 'node'], 2, 'is not a name'],
  ['a time that is none', ['-l', '1', '--watchdog', 'soon', 'node'], 2, 'is not a time span'],
  ['a cache in a container', ['-l', '1', '--quadlet', 'image', '--compile-cache', 'node'], 2, 'do not go together'],
  ['an option that is none', ['--port', '3000', 'node'], 2, '--port'],
];
for (const [what, args, status, message] of mistakes) {
  t.test(`${what} is told on standard error, with a hint`, async (t) => {
    const { code, stdout, stderr } = await cli(t, ['unit', ...args]);
    t.equal(code, status);
    t.equal(stdout, '');
    t.match(stderr, message);
  });
}

t.test('a launcher before the program, and a socket that is open to every user, are noted', async (t) => {
  const folder = temporaryFolder(t);
  const unit = (...args: string[]) => cli(t, ['unit', '--name', 'web', '--output', folder, '--force', ...args]);
  const watched = await unit('-l', '/run/web.sock', '--', process.execPath, '--watch', 'app.js');
  t.equal(watched.code, 0);
  t.match(watched.stderr, /note:.* node --watch stays between systemd and the program.*write listenfds run --watch/);
  t.match(watched.stderr, /every user of this machine may connect to \/run\/web\.sock.*--mode 0660/);
  const direct = await unit('-l', '3000', '--', process.execPath, 'app.js');
  t.notMatch(direct.stderr, /stays between|every user/);
});

t.test('Type=notify is for programs that have this package, however they are found', async (t) => {
  const folder = temporaryFolder(t);
  const put = (file: string, text = ''): void => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text, { mode: 0o755 });
  };
  put('with/node_modules/listenfds/package.json');
  put('with/src/app.js', '#!/usr/bin/env node\n');
  put('without/package.json', '{ "name": "without" }');
  put('without/app.js', '#!/usr/bin/env node\n');
  symlinkSync('../with/src/app.js', join(folder, 'without/link.js'));
  const typeIn = async (cwd: string, ...args: string[]): Promise<string | undefined> => {
    const { stdout, stderr } = await cli(t, ['unit', '-l', '1', ...args], { cwd: join(folder, cwd) });
    const [, type] = /^Type=(.*)$/m.exec(stdout) ?? [];
    t.equal(/^NotifyAccess=main$/m.test(stdout), type === 'exec');
    t.equal(/note:.*Type=exec/.test(stderr), type === 'exec' && !args.includes('--type'));
    return type;
  };
  const node = process.execPath;
  t.equal(await typeIn('with', '--', node, 'src/app.js'), 'notify');
  t.equal(await typeIn('without', '--', node, join(folder, 'with/src/app.js')), 'notify');
  t.equal(await typeIn('without', '--', node, 'link.js'), 'notify', 'as Node.js follows it');
  t.equal(await typeIn('without', '--', '../with/src/app.js'), 'notify', 'a script with a first line');
  t.equal(await typeIn('without', '--', node, '--import', 'listenfds/register', 'app.js'), 'notify', 'the preload');
  t.equal(await typeIn('without', '--', node, 'app.js'), 'exec');
  t.equal(await typeIn('without', '--', './app.js'), 'exec');
  t.equal(await typeIn('with', '--', '/bin/sh', '-c', 'exec node src/app.js'), 'exec');
  t.equal(await typeIn('without', '--type', 'notify', '--', node, 'app.js'), 'notify');
  t.equal(await typeIn('with', '--type', 'exec', '--', node, 'src/app.js'), 'exec');
});

t.test('a folder is named as it was entered, through links that may lead elsewhere tomorrow', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'releases/1'), { recursive: true });
  symlinkSync('releases/1', join(folder, 'current'));
  mkdirSync(join(folder, 'node'));
  symlinkSync(process.execPath, join(folder, 'node/node'));
  const { stdout } = await cli(t, ['unit', '-l', '1', '--', '../node/node', 'app.js'], {
    cwd: join(folder, 'current'),
    env: { PWD: join(folder, 'current') },
  });
  t.match(stdout, new RegExp(`^WorkingDirectory=${folder}/current$`, 'm'));
  t.match(stdout, new RegExp(`^Environment=PWD=${folder}/current$`, 'm'));
  t.match(stdout, new RegExp(`^ExecStart=${folder}/node/node app.js$`, 'm'));
  t.match(stdout, /^# current\.service$/m, 'nor is the number of the release the name');
  const stale = await cli(t, ['unit', '-l', '1', '--', process.execPath], { cwd: folder, env: { PWD: '/tmp' } });
  t.match(stale.stdout, new RegExp(`^WorkingDirectory=${folder}$`, 'm'));
  t.notMatch(stale.stdout, 'PWD');
});

t.test('--mode and --group say who may connect to a path', async (t) => {
  const args = ['unit', '--name', 'web', '-l', '/run/web.sock', '--mode', '0660', '--group', 'www-data'];
  const { stdout, stderr } = await cli(t, [...args, '--', process.execPath, 'app.js']);
  t.match(stdout, /^ListenStream=\/run\/web\.sock\nSocketMode=0660\nSocketGroup=www-data$/m);
  t.notMatch(stderr, 'every user');
  const mistakes: [string[], string | RegExp][] = [
    [['-l', '/run/x', '--mode', 'rw'], '--mode "rw" is not an access mode'],
    [['-l', '80', '--mode', '0660'], '--mode is for sockets with a path'],
    [['-l', '/run/x', '--group', 'a\nb'], 'cannot be written into a unit file'],
  ];
  for (const [more, message] of mistakes) {
    t.match(await cli(t, ['unit', ...more, '--', process.execPath]), { code: 2, stderr: message, stdout: '' });
  }
});
