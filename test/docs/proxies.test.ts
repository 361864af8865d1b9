// The examples of docs/proxies.md: each proxy reaches a service on a unix socket, also while it restarts.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, root } from '../support/activate.ts';
import { cli, Run } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { exchange } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { without } from '../support/tools.ts';

const example = (name: string): string => readFileSync(join(root, 'examples/proxy', name), 'utf8');

interface Proxy {
  readonly file: string;
  /** The whole configuration, made of the file; `folder` is for what it writes. */
  configuration(file: string, folder: string): string;
  command(path: string, folder: string): string[];
}

const proxies: Readonly<Record<string, Proxy>> = {
  nginx: {
    file: 'nginx.conf',
    configuration: (file, folder) =>
      `daemon off; user root; pid ${folder}/pid; error_log stderr;\nevents {}\nhttp { access_log off;\n` +
      ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder};\n`).join('') +
      `${file}}\n`,
    command: (path, folder) => ['nginx', '-p', folder, '-c', path],
  },
  haproxy: {
    file: 'haproxy.cfg',
    configuration: (file) => file.replace(/^ {2}(user|group) .*\n/gm, ''),
    command: (path) => ['haproxy', '-db', '-f', path],
  },
  caddy: {
    file: 'Caddyfile',
    configuration: (file) => `{\n\tadmin off\n\tauto_https off\n}\n${file}`,
    command: (path) => ['caddy', 'run', '--adapter', 'caddyfile', '--config', path],
  },
};

/** It takes a while until a proxy listens. */
async function answer(t: Test, port: number, ended: Promise<unknown>): Promise<string> {
  let over = false;
  void ended.then(() => (over = true));
  for (;;) {
    const found = await exchange(port).catch(() => null);
    if (found) return found.body;
    if (over) return t.fail('the proxy has ended') as never;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

for (const [name, { file, configuration, command }] of Object.entries(proxies)) {
  t.test(
    `${name} reaches a service over its unix socket, and waits while that restarts`,
    { skip: without(name) },
    async (t) => {
      const folder = temporaryFolder(t);
      const socket = join(folder, 'web.sock');
      const source = join(folder, 'source.js');
      writeFileSync(source, '');
      const server = [process.execPath, join(root, 'examples/on-demand.js')];
      const run = new Run(t, ['-l', socket, '--watch', source, '--', ...server], { env: { PORT: socket } });
      await run.says(/listening on/);

      const port = await freePort();
      const own = join(folder, 'proxy');
      mkdirSync(own);
      const text = example(file).replaceAll('/run/web.sock', socket).replaceAll('8080', String(port));
      const path = join(own, file);
      writeFileSync(path, configuration(text, own));
      const proxy = activate(t, command(path, own), { env: { HOME: own } });
      const first = await answer(t, port, proxy.ended);
      t.match(first, /^Hello from process \d+/, proxy.stderr);

      writeFileSync(source, '// changed');
      await run.says(/has changed/);
      let next = first;
      while (next === first) {
        const { status, body } = await exchange(port);
        t.equal(status, 200);
        next = body;
      }
      await proxy.kill('SIGTERM');
    },
  );
}

t.test('the socket unit is what `listenfds unit` writes', async (t) => {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  const args = [
    'unit',
    '--name',
    'web',
    '-l',
    '/run/web.sock',
    '--mode',
    '0660',
    '--group',
    'www-data',
    '--',
    'node',
    'a.js',
  ];
  const { stdout } = await cli(t, args, { cwd: folder });
  for (const line of example('web.socket').match(/^\w+=.*$/gm)!) t.ok(stdout.includes(`\n${line}\n`), line);
});
