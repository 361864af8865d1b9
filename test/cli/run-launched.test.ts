// `listenfds run` behind npx: whoever stops npx stops all of it, and the port is free.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { activate, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { without } from '../support/tools.ts';

const refused = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const client = connect(port, '127.0.0.1', () => (client.destroy(), resolve(false)));
    client.on('error', () => resolve(true));
  });

const app = "require('node:http').createServer((q, s) => s.end(String(process.pid))).listen({ fd: 3 })";

const ways = [
  ['npx', 'SIGTERM'],
  ['npx', 'SIGKILL'],
  ['npm start', 'SIGTERM'],
  ['npm start', 'SIGKILL'],
] as const;
for (const [how, signal] of ways) {
  t.test(`${how}, ended by ${signal}, leaves nothing behind`, { skip: without('npx') }, async (t) => {
    const folder = temporaryFolder(t);
    const port = await freePort();
    const words = `listenfds run -l 127.0.0.1:${port} --now -- node app.js`;
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'x', scripts: { start: words } }));
    writeFileSync(join(folder, 'app.js'), app);
    mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true });
    symlinkSync(root, join(folder, 'node_modules/listenfds'));
    symlinkSync('../listenfds/dist/cli.js', join(folder, 'node_modules/.bin/listenfds'));
    const command = how === 'npx' ? ['npx', '--no', ...words.split(' ')] : ['npm', 'start'];
    const env = {
      HOME: folder,
      npm_config_cache: folder,
      npm_config_update_notifier: 'false',
      XDG_RUNTIME_DIR: folder,
    };
    const launched = activate(t, command, { cwd: folder, env });
    while (await refused(port)) await sleep(50);
    const pid = Number(await get(port));
    process.kill(launched.pid, signal);
    while (!(await refused(port))) await sleep(50);
    await t.rejects(
      async () => {
        for (;;) {
          process.kill(pid, 0);
          await sleep(50);
        }
      },
      { code: 'ESRCH' },
    );
  });
}
