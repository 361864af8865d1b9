// The examples of the documentation, run as it says, and their units.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import t from 'tap';
import { activate, root } from '../support/activate.ts';
import { cli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { socketActivate } from '../support/socket-activate.ts';
import { without } from '../support/tools.ts';

const folder = join(root, 'examples');
const examples = ['http.js', 'express.js', 'fastify.js', 'graceful.js'];
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

t.test('every example has units, of the system and of a user, which open the port that it asks for', async (t) => {
  for (const [whose, units] of Object.entries(unitFolders)) {
    for (const example of examples) {
      const unit = join(units, basename(example, '.js'));
      const port = /process\.env\.PORT \?\? (\d+)/.exec(readFileSync(join(folder, example), 'utf8'))?.[1];
      t.match(readFileSync(`${unit}.socket`, 'utf8'), `\nListenStream=${port}\n`, `${whose} ${example}`);
      const path = /^ExecStart=\/usr\/bin\/node (?:\/srv|%h)\/listenfds\/(\S+)$/m.exec(
        readFileSync(`${unit}.service`, 'utf8'),
      );
      t.ok(path && existsSync(join(root, path[1]!)), 'ExecStart= is the example');
    }
  }
});

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
  t.ok(files.length > 8);
  for (const file of files) t.strictSame(lines(readFileSync(join(folder, file), 'utf8')), wanted, file);
  for (const page of ['README.md', 'docs/zero-downtime.md']) {
    const blocks = readFileSync(join(root, page), 'utf8').split('```ini\n').slice(1);
    const services = blocks.map((block) => block.split('```')[0]!).filter((block) => block.includes('[Service]'));
    t.ok(services.length >= 2);
    for (const service of services) t.strictSame(lines(service), wanted, `${page}: ${service}`);
  }
});
