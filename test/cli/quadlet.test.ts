// podman's generator makes a service of the quadlet that `listenfds unit --quadlet` writes.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { debianProgram } from '../../scripts/debian.js';
import { root } from '../support/activate.ts';
import { cli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { without } from '../support/tools.ts';

t.setTimeout(300_000); // Debian 12 has a podman that has none: that of Debian 13 is fetched at the first run

/** podman 4.4 and newer bring it along. Where there is none, and no network to fetch one, the reason is said. */
function findGenerator(): string | Error {
  const path = 'usr/libexec/podman/quadlet';
  if (existsSync(`/${path}`)) return `/${path}`;
  try {
    return debianProgram('podman', path);
  } catch (error) {
    return error as Error;
  }
}

const generator = findGenerator();
const skip = generator instanceof Error ? `no podman 4.4 or newer: ${generator.message}` : false;

function generate(t: Test, folder: string): string {
  const { status, stdout, stderr } = spawnSync(String(generator), ['-dryrun'], {
    encoding: 'utf8',
    env: { QUADLET_UNIT_DIRS: folder },
  });
  t.equal(status, 0, stderr);
  t.notMatch(stderr, /unsupported|error|warn/i);
  return stdout.replace('---web.service---\n', '');
}

t.test('the files of examples/container', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  for (const name of readdirSync(join(root, 'examples/container')).filter((name) => name.startsWith('web.'))) {
    copyFileSync(join(root, 'examples/container', name), join(folder, name));
  }
  const service = generate(t, folder);
  t.match(service, /^Type=notify$/m);
  t.match(service, /^Requires=web\.socket$/m);
  const start = /^ExecStart=\S+podman run (.*) localhost\/web node server\.js$/m.exec(service)?.[1]?.split(' ') ?? [];
  for (const option of ['--network none', '--sdnotify=container', '--read-only', '--cap-drop all', '--stop-timeout=45'])
    t.match(start.join(' '), option);

  await t.test('systemd finds nothing wrong with them', { skip: without('podman', 'systemd-analyze') }, async (t) => {
    const files = ['web.socket', 'web.service'].map((name) => join(folder, name));
    writeFileSync(files[1]!, service);
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', ...files], { encoding: 'utf8' });
    t.equal(status, 0);
    t.equal(stdout + stderr, '');
  });
});

t.test('every option, and words of the command as they were written', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  const options = ['--name', 'web', '--quadlet', 'example.org/img:1', '--idle-timeout', '10min', '--mode', '0660'];
  const words = ['node', 'a b.js', '50%', 'say "hi"'];
  const made = await cli(t, ['unit', ...options, '-l', '/run/web.sock', '-o', folder, '--', ...words]);
  t.equal(made.code, 0, made.stderr);
  const service = generate(t, folder);
  t.match(service, /example\.org\/img:1 node "a b\.js" 50%% "say \\"hi\\""$/m);
  t.match(service, /--env LISTENFDS_IDLE_TIMEOUT=10min /);
});
