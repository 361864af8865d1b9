// listenfds run as a manager that keeps descriptors: idle connections live over a restart, and end with a stop.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';
import { Run } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { RawClient } from '../support/raw-client.ts';

const answer = /\r\n\r\n(?:hello )?(?:pid )?(\d+)\s*$/;

const programs: readonly [string, readonly string[]][] = [
  ['serve()', [process.execPath, join(root, 'test/fixtures/serve.js')]],
  [
    'an unmodified program under the preload',
    [
      process.execPath,
      '--import',
      join(root, 'dist/register.js'),
      '-e',
      `require('http').createServer((_, response) => response.end('pid ' + process.pid)).listen(3000);`,
    ],
  ],
];

for (const [what, command] of programs) {
  t.test(`idle connections of ${what} live over a restart`, async (t) => {
    const file = join(temporaryFolder(t), 'changed');
    writeFileSync(file, '');
    const run = new Run(t, ['-l', '127.0.0.1:0', '--now', '--watch', file, '--', ...command]);
    const port = await run.port();
    const clients = Array.from({ length: 20 }, () => new RawClient(port));
    const ask = async (client: RawClient): Promise<string> => answer.exec(await client.ask('/', answer))![1]!;
    const [first] = await Promise.all(clients.map(ask));
    writeFileSync(file, 'new');
    await run.says(/restarting pid/);
    await run.says(/restarted: /);
    const pids = new Set(await Promise.all(clients.map(ask)));
    t.equal(pids.size, 1);
    t.notOk(pids.has(first!), 'the new process answers on the same connections');
    run.signal('SIGTERM');
    await Promise.all(clients.map(({ ended }) => ended));
    t.match(await run.program.ended, { code: 0 });
  });
}

t.test('who has just connected is answered, also where the command is told to stop and nothing follows', async (t) => {
  const source = `import { createServer } from 'node:http';
    import { serve } from 'listenfds';
    const server = createServer((_, response) => response.end('pid ' + process.pid));
    server.on('connection', () => console.log('connected ' + process.pid)).on('draining', () => console.log('draining'));
    await serve(server, 3000);`;
  const run = new Run(t, ['-l', '127.0.0.1:0', '--', process.execPath, '--input-type=module', '-e', source]);
  const port = await run.port();
  const began = performance.now();
  const client = new RawClient(port);
  const [, pid] = /^connected (\d+)$/.exec(await run.program.line())!;
  process.kill(Number(pid), 'SIGTERM');
  t.equal(await run.program.line(), 'draining');
  if (performance.now() - began > 60) t.comment('the machine was too busy to ask in time');
  else {
    await client.ask('/', answer);
    t.match(client.text, new RegExp(`pid ${pid}\\s*$`));
  }
  client.socket.destroy();
  run.signal('SIGTERM');
  await run.program.ended;
});
