// docs/migration.md: before and after do the same, with the packages as they are on npm.
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, symlinkSync } from 'node:fs';
import { once } from 'node:events';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, root, type Activated, type Activation } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { held } from '../support/held.ts';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { installed, noRuntimes, runtimes } from '../support/programs.ts';
import { receive } from '../support/receiver.ts';
import { unless } from '../support/tools.ts';

t.setTimeout(600_000); // the packages are installed at the first run
const hasLibrary = spawnSync('pkg-config', ['--exists', 'libsystemd']).status === 0;
const skip = noRuntimes || unless(hasLibrary, 'needs libsystemd-dev and pkg-config, to build sd-notify');

/** Starts examples/migration/NAME; the other package's from a folder where it is installed. */
async function start(t: Test, name: string, activation: Activation): Promise<Activated> {
  const file = join(root, 'examples/migration', name);
  if (!name.includes('before')) return activate(t, [process.execPath, file], activation);
  const folder = temporaryFolder(t);
  const program = join(folder, basename(name).replace('.js', '.mjs'));
  copyFileSync(file, program);
  symlinkSync(join(await installed('peers'), 'node_modules'), join(folder, 'node_modules'));
  return activate(t, [process.execPath, program], activation);
}

/** Whether an addon was compiled by this Node.js: the packages are installed once for all. */
async function loads(name: string): Promise<boolean> {
  const module = JSON.stringify(join(await installed('peers'), 'node_modules', name));
  return spawnSync(process.execPath, ['--eval', `require(${module})`]).status === 0;
}

const until = async (port: number): Promise<string> => {
  for (;;) {
    const answer = await get(port).catch(() => null);
    if (answer !== null) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

for (const name of ['socket-activation', 'systemd']) {
  for (const side of ['before', 'after']) {
    t.test(`${name}, ${side}: serves on the socket that was passed, or binds`, { skip }, async (t) => {
      const { fd, port } = await held(t);
      await start(t, `${name}-${side}.js`, { fds: [fd], names: ['web'], env: { PORT: String(port) } });
      t.equal(await get(port), 'hello\n');
      const own = await freePort();
      await start(t, `${name}-${side}.js`, { env: { PORT: String(own) } });
      t.equal(await until(own), 'hello\n');
    });
  }
}

for (const side of ['before', 'after', 'serve']) {
  t.test(`sd-notify, ${side}: the manager hears that it is ready, and alive`, { skip }, async (t) => {
    if (side === 'before' && !(await loads('sd-notify'))) {
      t.pass('the manager hears', { skip: 'sd-notify was compiled for another Node.js' });
      return;
    }
    const receiver = await receive(t, join(temporaryFolder(t), 'notify'));
    const port = await freePort();
    const env = { NOTIFY_SOCKET: receiver.address, PORT: String(port), WATCHDOG_USEC: '5600000' };
    const program = await start(t, `sd-notify-${side}.js`, { env });
    const ended = program.ended.then(({ code, stderr }) =>
      Promise.reject(new Error(`it ended with ${code}: ${stderr}`)),
    );
    ended.catch(() => {}); // in the end it is ended by us
    const heard = new Set<string>();
    while (!['READY=1', 'WATCHDOG=1'].every((word) => heard.has(word))) {
      const { text, pid } = await Promise.race([receiver.message(), ended]);
      t.equal(pid, program.pid);
      for (const line of text.trim().split('\n')) heard.add(line);
    }
    t.equal(await get(port), 'hello\n');
  });
}

/** A unit's ExecStart= and Environment=, with a shorter time. */
function unit(name: string): { args: string[]; env: Record<string, string> } {
  const text = readFileSync(join(root, 'examples/migration', name), 'utf8');
  const [, variable = ''] = /^Environment=(\w+)=/m.exec(text) ?? [];
  const [, args = ''] = /^ExecStart=\/usr\/bin\/node (.*)$/m.exec(text) ?? [];
  return { args: args.split(' '), env: { [variable]: variable === 'IDLE_TIMEOUT' ? '1' : '1s' } };
}

for (const side of ['before', 'after']) {
  const leaves = side === 'after';
  const what = leaves ? 'leaves while a client says nothing' : 'stays as long as a client is connected';
  t.test(`SvelteKit, ${side}: ${what}`, { skip }, async (t) => {
    const { node } = await runtimes();
    const cwd = await installed('sveltekit', node);
    const { args, env } = unit(`sveltekit-${side}.service`);
    const { fd, port } = await held(t);
    const command = args.map((arg) => (arg === 'listenfds/register' ? join(root, 'dist/register.js') : arg));
    const program = activate(t, [node, ...command], {
      fds: [fd],
      cwd,
      env: { ...env, PORT: String(port), HOST: '127.0.0.1' },
    });
    t.match(await get(port), 'hello');
    const client = connect(port, '127.0.0.1');
    await once(client, 'connect');
    t.teardown(() => client.destroy());
    const enough = new Promise((resolve) => setTimeout(resolve, leaves ? 20_000 : 3_000, 'stays').unref());
    const came = await Promise.race([program.ended.then(({ code }) => code), enough]);
    t.equal(came, leaves ? 0 : 'stays');
    if (leaves) return;
    client.destroy();
    t.equal((await program.ended).code, 0, 'until it goes');
  });
}
