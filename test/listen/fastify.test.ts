// Fastify opens its own server between hooks of its own: listen() must leave both as they are.
import { join } from 'node:path';
import t from 'tap';
import { activate, root, type Activated } from '../support/activate.ts';
import { ask, type Place } from '../support/ask.ts';
import { temporaryFolder } from '../support/folder.ts';
import { freePort } from '../support/port.ts';
import { installedModule } from '../support/programs.ts';
import { socketActivate } from '../support/socket-activate.ts';
import { without } from '../support/tools.ts';

const skip = without('systemd-socket-activate');
const fixture = (name: string) => join(root, `test/fixtures/apps/${name}.js`);

async function linesUntil(program: Activated, last: string | RegExp): Promise<string[]> {
  const lines: string[] = [];
  do lines.push(await program.line());
  while (!lines.at(-1)!.match(last));
  return lines;
}

const older = await installedModule('more-frameworks', 'fastify4');
for (const [name, module] of [
  ['fastify', 'fastify'],
  ['fastify 4', older],
] as const) {
  t.test(`${name}: hooks run and the address is logged, adopted or bound, and close() closes`, { skip }, async (t) => {
    const port = await freePort();
    const path = join(temporaryFolder(t), 'app.sock');
    const places: [string, Place, string][] = [
      [`127.0.0.1:${port}`, { host: '127.0.0.1', port }, `http://127.0.0.1:${port}`],
      [path, { path }, path],
    ];
    for (const [address, place, shown] of places) {
      const command = [process.execPath, fixture('fastify'), address, module];
      const starts = {
        inherited: () => socketActivate(t, command, { addresses: [address] }),
        bound: async () => activate(t, command),
      };
      for (const [source, start] of Object.entries(starts)) {
        const program = await start();
        // The connection that activates; by hand the program has to be up first.
        const early = source === 'inherited' ? ask('http', place) : null;
        const lines = await linesUntil(program, /^\{/);
        t.equal(await (early ?? ask('http', place)), 'hello');
        // onListen hooks run beside the return of listen().
        if (!lines.includes('onListen')) lines.push(await program.line());
        t.match(JSON.parse(lines.find((line) => line.startsWith('{'))!), { source });
        t.same(
          lines.filter((line) => !line.startsWith('{')),
          ['onReady', `Server listening at ${shown}`, 'onListen'],
          `${address} ${source}`,
        );

        program.child.kill('SIGTERM');
        const { code, stdout } = await program.ended;
        t.equal(code, 0, 'nothing is left that keeps it alive');
        t.match(stdout, /^onClose\nclosed\n$/m);
        await t.rejects(ask('http', place), { code: /ECONNREFUSED|ENOENT/ });
      }
    }
  });

  t.test(
    `${name}: when a plugin fails, listen() rejects and the descriptor is there for the next`,
    { skip },
    async (t) => {
      const port = await freePort();
      const address = `127.0.0.1:${port}`;
      const command = [process.execPath, fixture('fastify-failing'), address, module];
      const program = await socketActivate(t, command, { addresses: [address], names: ['web'] });
      t.equal(await ask('http', { host: '127.0.0.1', port }), 'hello');
      t.match(await program.json(), {
        outcome: 'the plugin failed',
        passed: [{ fd: 3, name: 'web', taken: false }],
        listening: false,
      });
      t.match(await program.json(), { source: 'inherited', name: 'web' });
    },
  );
}
