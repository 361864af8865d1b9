// The units that `listenfds unit` writes, under a real systemd.
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { command } from '../support/cli.ts';
import { deploy } from '../support/deploy.ts';
import { get, getJson } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { noRuntimes, runtimes } from '../support/programs.ts';
import { withSystemd, withoutSystemd, type Lab } from '../support/systemd.ts';

const skip = withoutSystemd();
// The lab wants a unit to begin with.
const none = { 'none.target': '[Unit]\n' };

/** Writes the units in the lab, as a person would there, and starts the sockets. */
async function install(
  lab: Lab,
  folder: string,
  options: string[],
  start: string,
  program: string[] = ['node', 'app.js'],
): Promise<void> {
  const unit = [process.execPath, command, 'unit', '--name', 'web', ...options, '--output', '/run/lab'];
  const script = 'cd "$1" && shift && exec "$@"';
  const args = [folder, ...unit, '--', ...program];
  const { code, stdout, stderr } = await lab.run('sh', '-c', script, 'sh', ...args);
  if (code !== 0) throw new Error(stderr);
  for (const file of stdout.trim().split('\n')) {
    // The lab has no basic.target; services say what happens in its log.
    mkdirSync(lab.path(`${file}.d`));
    const log = file.endsWith('.service') ? '[Service]\nStandardOutput=append:/dev/lab\nStandardError=inherit\n' : '';
    writeFileSync(lab.path(`${file}.d/lab.conf`), `[Unit]\nDefaultDependencies=no\n${log}`);
  }
  await lab.systemctl('daemon-reload');
  await lab.systemctl('start', start);
}

t.test('an Express app runs in them, hardened as they are, and survives a storm of restarts', { skip }, async (t) => {
  const port = await freePort();
  await withSystemd({ units: none }, async (lab) => {
    await deploy(lab, 'express.js', '/run/app');
    await install(lab, '/run/app', ['-l', `127.0.0.1:${port}`], 'web.socket');
    t.equal(await lab.property('web.service', 'ActiveState'), 'inactive', 'not running before the first request');
    const { uid } = await getJson(port);
    t.ok(uid >= 61184 && uid <= 65519, `a dynamic user: ${uid}`);
    t.equal(await lab.property('web.service', 'ActiveState'), 'active');
    t.match(await lab.property('web.service', 'StatusText'), /accepted/);

    for (let i = 0; i < 7; i++) {
      await lab.systemctl('restart', 'web.service');
    }
    t.ok((await getJson(port)).uid);
    t.equal(await lab.property('web.socket', 'ActiveState'), 'active', 'more than systemd’s own limits allow');
    await lab.systemctl('reload', 'web.service');
    await lab.systemctl('stop', 'web.service');
    t.equal(await lab.property('web.service', 'Result'), 'success');
  });
});

t.test('a program that fails at its start for a while answers the clients that waited', { skip }, async (t) => {
  const port = await freePort();
  await withSystemd({ units: none }, async (lab) => {
    await deploy(lab, 'express.js', '/run/app');
    await install(lab, '/run/app', ['-l', `127.0.0.1:${port}`], 'web.socket');
    writeFileSync(lab.path('/run/app/fail.cjs'), 'process.exit(1)');
    mkdirSync(lab.path('/run/lab/web.service.d'), { recursive: true });
    const faulty = lab.path('/run/lab/web.service.d/faulty.conf');
    writeFileSync(faulty, '[Service]\nEnvironment=NODE_OPTIONS=--require=/run/app/fail.cjs\nRestartSec=100ms\n');
    await lab.systemctl('daemon-reload');

    const answer = get(port);
    answer.catch(() => {});
    // More often than DefaultStartLimitBurst= lets a service start.
    for (let i = 0, after = 0; i < 6; i++) {
      const found = await lab.logged(/web\.service: Main process exited, code=exited, status=1/, after);
      after += found.index + 1;
    }
    rmSync(faulty);
    await lab.systemctl('daemon-reload');
    t.match(JSON.parse(await answer), { uid: Number }, 'the first client');
  });
});

t.test('two instances of the template share the socket: blue goes when green is up', { skip }, async (t) => {
  const port = await freePort();
  await withSystemd({ units: none }, async (lab) => {
    await deploy(lab, 'express.js', '/run/app');
    await install(lab, '/run/app', ['-l', `127.0.0.1:${port}`, '--template'], 'web.socket');
    const { pid: blue } = await getJson(port);
    t.equal(await lab.property('web@blue.service', 'MainPID'), String(blue), 'the first request starts blue');
    await lab.systemctl('start', 'web@green.service');
    await lab.systemctl('stop', 'web@blue.service');
    const { pid: green } = await getJson(port);
    t.equal(await lab.property('web@green.service', 'MainPID'), String(green));
    t.equal(await lab.property('web@blue.service', 'ActiveState'), 'inactive', 'and nothing wakes blue up');
  });
});

t.test('without a network of its own the app still answers on the socket', { skip }, async (t) => {
  const port = await freePort();
  await withSystemd({ units: none }, async (lab) => {
    await deploy(lab, 'express.js', '/run/app');
    await install(lab, '/run/app', ['-l', `127.0.0.1:${port}`, '--private-network'], 'web.socket');
    t.match(await getJson(port), { uid: Number });
    const pid = await lab.property('web.service', 'MainPID');
    const { stdout } = await lab.run('nsenter', '-t', pid, '-n', 'ip', '-o', 'link');
    t.equal(stdout.trim().split('\n').length, 1, 'it has nothing but a loopback device');
  });
});

t.test('Node.js keeps what it compiles from one start to the next', { skip: skip || noRuntimes }, async (t) => {
  const port = await freePort();
  const { node } = await runtimes();
  await withSystemd({ units: none }, async (lab) => {
    await deploy(lab, 'express.js', '/run/app');
    copyFileSync(node, lab.path('/run/app/newer-node'));
    const program = ['/run/app/newer-node', 'app.js'];
    await install(lab, '/run/app', ['-l', `127.0.0.1:${port}`, '--compile-cache'], 'web.socket', program);
    t.match(await getJson(port), { uid: Number });
    await lab.systemctl('stop', 'web.service');
    const { stdout } = await lab.run('find', '/var/cache/web/', '-type', 'f');
    const kept = stdout.trim().split('\n');
    t.ok(kept.length >= 2, `the bundle with Express, and the core: ${kept.length} files`);
    t.match(await getJson(port), { uid: Number });
    await lab.systemctl('stop', 'web.service');
    t.equal(
      (await lab.run('find', '/var/cache/web/', '-type', 'f')).stdout,
      stdout,
      'the second start compiled nothing',
    );
  });
});

t.test('arguments arrive as they were written, with every control character there is', { skip }, async (t) => {
  const controls = String.fromCharCode(...Array.from({ length: 31 }, (_, i) => i + 1), 0x7f, 0x85, 0x9b, 0x2028);
  const odd = [
    controls,
    ...Array.from(controls),
    'x\rExecStartPre=+/bin/touch /run/lab/smuggled\r',
    'y\nExecStartPre=+/bin/touch /run/lab/smuggled\n',
    'end\\',
    '"\\"',
    '\\x41 %i $HOME ; é',
  ];
  const port = await freePort();
  await withSystemd({ units: none }, async (lab) => {
    await deploy(lab, 'express.js', '/run/app');
    const program = [
      'node',
      '-e',
      'console.log("args:" + Buffer.from(process.argv.slice(1).join("|")).toString("hex"))',
      '--',
      ...odd,
    ];
    const options = ['-l', `127.0.0.1:${port}`, '--type', 'exec'];
    await install(lab, '/run/app', options, 'web.service', program);
    const [, args] = await lab.logged(/args:([0-9a-f]+)\n/);
    t.equal(args, Buffer.from(odd.join('|')).toString('hex'));
    t.notOk(existsSync(lab.path('/run/lab/smuggled')));
  });
});

t.test(
  'a program without this package is not waited for, and one with it may be upgraded all the same',
  { skip },
  async (t) => {
    const port = await freePort();
    await withSystemd({ units: none }, async (lab) => {
      const plain = "require('http').createServer((q, s) => s.end('{}')).listen({ fd: 3 })";
      mkdirSync(lab.path('/run/plain'));
      await install(lab, '/run/plain', ['-l', `127.0.0.1:${port}`], 'web.socket', ['node', '-e', plain]);
      await getJson(port);
      t.equal(await lab.property('web.service', 'Type'), 'exec');
      t.equal(await lab.property('web.service', 'ActiveState'), 'active');
    });
    await withSystemd({ units: none }, async (lab) => {
      await deploy(lab, 'express.js', '/run/app');
      const options = ['-l', `127.0.0.1:${port}`, '--type', 'exec', '--watchdog', '2s'];
      await install(lab, '/run/app', options, 'web.socket');
      await getJson(port);
      t.match(await lab.property('web.service', 'StatusText'), /accepted/, 'what it says is heard');
      const pid = await lab.property('web.service', 'MainPID');
      const service = `/run/lab/web.service.d/reload.conf`;
      writeFileSync(
        lab.path(service),
        '[Service]\nExecReload=node /run/app/node_modules/listenfds/dist/cli.js upgrade $MAINPID\nEnvironment=UPGRADE=yes\n',
      );
      await lab.systemctl('daemon-reload');
      await lab.systemctl('restart', 'web.service');
      t.not(await lab.property('web.service', 'MainPID'), pid);
    });
  },
);
