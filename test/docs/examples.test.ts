// The examples of the documentation, run as it says, and their units.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import t from 'tap';
import { cached } from '../../scripts/node-versions.js';
import { activate, root } from '../support/activate.ts';
import { cli } from '../support/cli.ts';
import { makeCertificate } from '../support/certificate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { copyPackage } from '../support/package.ts';
import { freePort } from '../support/port.ts';
import { installed } from '../support/programs.ts';
import { socketActivate } from '../support/socket-activate.ts';
import { without } from '../support/tools.ts';

const folder = join(root, 'examples');
const examples = ['http.js', 'express.js', 'fastify.js', 'graceful.js', 'commonjs/server.cjs'];
const withActivator = { skip: without('systemd-socket-activate') };

for (const example of examples) {
  const command = [process.execPath, join(folder, example)];

  t.test(`${example} serves on the socket that systemd-socket-activate passes`, withActivator, async (t) => {
    const port = await freePort();
    const addresses = [`127.0.0.1:${port}`];
    const program = await socketActivate(t, command, { addresses, env: { PORT: String(port) } });
    t.match(await get(port), /^Hello from /);
    t.equal(await program.line(), `http://127.0.0.1:${port}/ inherited`);
  });

  t.test(`${example} binds when it is started by hand`, async (t) => {
    const program = activate(t, command, { env: { PORT: '0' } });
    const [url = '', source] = (await program.line()).split(' ');
    t.equal(source, 'bound');
    t.match(await get({ port: new URL(url).port }), /^Hello from /);
  });
}

const unitFolders = { system: join(folder, 'systemd'), user: join(folder, 'systemd/user') };
const sockets = (folder: string) => readdirSync(folder).filter((file) => file.endsWith('.socket'));

for (const [whose, units] of Object.entries(unitFolders)) {
  t.test(`systemd finds no fault with the units of the ${whose}`, { skip: without('systemd-analyze') }, async (t) => {
    const copies = temporaryFolder(t);
    for (const file of readdirSync(units).filter((file) => /\.(socket|service)$/.test(file))) {
      // Node.js need not be in /usr/bin here.
      writeFileSync(
        join(copies, file),
        readFileSync(join(units, file), 'utf8').replace('/usr/bin/node', process.execPath),
      );
    }
    const runtime = join(copies, 'runtime');
    mkdirSync(runtime);
    const args = [
      'verify',
      ...(whose === 'user' ? ['--user'] : []),
      ...sockets(units).map((file) => join(copies, file)),
    ];
    const env = { PATH: process.env['PATH'] ?? '', HOME: copies, XDG_RUNTIME_DIR: runtime };
    const { status, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8', env });
    t.equal(status, 0, stderr);
    t.notMatch(stderr, copies);
  });
}

t.setTimeout(300_000); // what some examples need is installed at the first run

/** A copy of an example in a folder of its own, as a project has it: with listenfds and other packages in its node_modules. */
function project(from: string, packages: Readonly<Record<string, string>> = {}): string {
  const copy = join(temporaryFolder(t), 'project');
  cpSync(join(folder, from), copy, { recursive: true });
  const modules = join(copy, 'node_modules');
  for (const [name, place] of Object.entries({ listenfds: root, ...packages })) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(place, join(modules, name));
  }
  return copy;
}

const subjectAt = async (port: number): Promise<string> => {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint;
};

t.test('tls/server.js has another certificate after a reload', { skip: without('openssl') }, async (t) => {
  const files = temporaryFolder(t);
  const { key, cert } = makeCertificate(files);
  const env = { PORT: '0', TLS_KEY: key, TLS_CERT: cert };
  const program = activate(t, [process.execPath, join(folder, 'tls/server.js')], { env });
  const port = Number(new URL(await program.line()).port);
  const before = await subjectAt(port);
  makeCertificate(files);
  program.child.kill('SIGHUP');
  let after = before;
  while (after === before) after = await subjectAt(port);
  t.match(await get({ protocol: 'https:', port, rejectUnauthorized: false }), 'Hello over TLS');
  program.child.kill('SIGTERM');
  t.match(await program.ended, { code: 0 });
});

t.test('typescript/ is compiled by its own tsconfig.json, and serves', async (t) => {
  const modules = join(root, 'node_modules');
  const copy = project('typescript', {
    express: join(modules, 'express'),
    '@types': join(modules, '@types'),
    typescript: join(modules, 'typescript'),
  });
  const { stdout, status } = spawnSync(process.execPath, [join(modules, 'typescript/bin/tsc'), '-p', copy], {
    encoding: 'utf8',
  });
  t.equal(stdout, '');
  t.equal(status, 0);
  const program = activate(t, [process.execPath, join(copy, 'dist/server.js')], { env: { PORT: '0' } });
  const [url = ''] = (await program.line()).split(' ');
  t.match(await get({ port: new URL(url).port }), 'Hello from TypeScript');
});

t.test('pnpm/ is installed by pnpm, and serves on the socket that was passed', async (t) => {
  const copy = join(temporaryFolder(t), 'shop');
  cpSync(join(folder, 'pnpm'), copy, { recursive: true });
  const own = join(temporaryFolder(t), 'listenfds');
  copyPackage(own);
  const manifest = join(copy, 'packages/web/package.json');
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"^0.1.0"', JSON.stringify(`file:${own}`)));
  const pnpm = join(await cached('pnpm-9', { pnpm: '9' }), 'node_modules/pnpm/bin/pnpm.cjs');
  const install = spawnSync(process.execPath, [pnpm, 'install', '--offline', '--ignore-scripts'], {
    cwd: copy,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], HOME: temporaryFolder(t) },
  });
  t.equal(install.status, 0, install.stdout + install.stderr);
  const place = join(copy, 'packages/web');
  t.match(readFileSync(join(place, 'node_modules/.bin/listenfds'), 'utf8'), /^#!.*sh/, 'node cannot run this one');
  const command = [process.execPath, join(place, 'node_modules/listenfds/dist/cli.js'), '--version'];
  t.match(await activate(t, command).ended, { code: 0 });
  const program = activate(t, [process.execPath, join(place, 'server.js')], { fds: ['tcp()'] });
  const [url = '', source] = (await program.line()).split(' ');
  t.equal(source, 'inherited');
  t.match(await get({ port: new URL(url).port }), 'Hello from a workspace');
});

t.test('testing/: node:test and vitest pass, and end at once', async (t) => {
  const vitest = join(await installed('tools'), 'node_modules/vitest');
  const copy = project('testing', { vitest });
  writeFileSync(join(copy, 'package.json'), '{ "type": "module" }');
  for (const command of [
    [process.execPath, '--test', 'node.test.js'],
    [process.execPath, join(vitest, 'vitest.mjs'), 'run', 'vitest.test.js'],
  ]) {
    const { code, stdout, stderr } = await activate(t, command, { cwd: copy, env: { HOME: copy } }).ended;
    t.equal(code, 0, stdout + stderr);
    t.match(stdout, /pass(?:ed)?\W+1|1 passed/);
  }
});

t.test('observability/: Prometheus and OpenTelemetry get the counts', async (t) => {
  const packages = join(await installed('observability'), 'node_modules');
  const copy = project('observability', {
    'prom-client': join(packages, 'prom-client'),
    '@opentelemetry/sdk-metrics': join(packages, '@opentelemetry/sdk-metrics'),
  });
  writeFileSync(join(copy, 'package.json'), '{ "type": "module" }');
  const start = async (file: string) => {
    const program = activate(t, [process.execPath, join(copy, file)], { env: { PORT: '0' } });
    const port = Number(new URL(await program.line()).port);
    t.equal(await get(port), 'hello\n');
    return { program, port };
  };
  const { port } = await start('prometheus.js');
  const metrics = await get({ port, path: '/metrics' });
  t.match(metrics, /^web_connections_accepted 2$/m);
  t.match(metrics, /^web_connections_active 1$/m);

  const { program } = await start('opentelemetry.js');
  program.child.kill('SIGTERM');
  const { code, stdout } = await program.ended;
  t.equal(code, 0);
  t.match(stdout, /connections\.accepted[^]*value: 1/);
});

t.test('examples/README.md names every example', (t) => {
  const page = readFileSync(join(folder, 'README.md'), 'utf8');
  for (const { name } of readdirSync(folder, { withFileTypes: true }).filter(({ name }) => name !== 'README.md')) {
    t.ok(page.includes(`](${name}`), name);
  }
  t.end();
});

/** Of other people's programs, which end as they do. */
const others = 'migration';

t.test('every unit says what a restart and an upgrade need, as listenfds unit does', async (t) => {
  const lines = (text: string): string[] =>
    [...text.matchAll(/^(?:KillMode|TimeoutStopSec|FileDescriptorStoreMax)=.*$/gm)].map(([line]) => line);
  const { stdout } = await cli(t, ['unit', '--name', 'web', '-l', '3000', '--', 'node', 'server.js']);
  const wanted = lines(stdout);
  t.equal(wanted.length, 3, stdout);
  const files = (readdirSync(folder, { recursive: true }) as string[]).filter(
    (file) => file.endsWith('.service') && !file.startsWith(others),
  );
  t.ok(files.length > 2);
  for (const file of files) t.strictSame(lines(readFileSync(join(folder, file), 'utf8')), wanted, file);
  for (const page of ['README.md', 'docs/zero-downtime.md']) {
    const blocks = readFileSync(join(root, page), 'utf8').split('```ini\n').slice(1);
    const services = blocks.map((block) => block.split('```')[0]!).filter((block) => /^\[Service\]$/m.test(block));
    t.ok(services.length >= 1);
    for (const service of services) t.strictSame(lines(service), wanted, `${page}: ${service}`);
  }
});
