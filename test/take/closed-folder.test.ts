// A program's own path may lie where it cannot look: its default is for root, or a part of it is a file.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { activateModule, root } from '../support/activate.ts';
import { as, withoutOtherUsers } from '../support/as.ts';
import { temporaryFolder } from '../support/folder.ts';
import { without } from '../support/tools.ts';

const nobody = as({ uid: 65534, gid: 65534 });

t.test(
  'a path that cannot be looked at matches nothing, and the socket that was passed is used',
  { skip: withoutOtherUsers() || without('python3') },
  async (t) => {
    const folder = temporaryFolder(t);
    chmodSync(folder, 0o755);
    const closed = join(folder, 'closed');
    mkdirSync(closed, { mode: 0o700 });
    writeFileSync(join(folder, 'file'), '');
    for (const path of [
      join(closed, 'app.sock'),
      join(folder, 'file/app.sock'),
      `/${'x'.repeat(30)}/../${'a/'.repeat(30)}s`,
    ]) {
      for (const [verb, passed] of [
        [`listen(() => {}, { path: ${JSON.stringify(path)} })`, `unix("@listenfds-${process.pid}-${path.length}")`],
        [`listenFifo(${JSON.stringify(path)})`, `fifo(${JSON.stringify(join(folder, `fifo-${path.length}`))})`],
      ] as const) {
        const source = `
        import { listen } from ${JSON.stringify(join(root, 'dist/index.js'))};
        import { listenFifo } from ${JSON.stringify(join(root, 'dist/sockets.js'))};
        const { source } = await ${verb}.catch(({ code }) => ({ source: code }));
        process.stdout.write(JSON.stringify(source) + '\\n', () => process.exit());`;
        const program = activateModule(t, source, { fds: [passed], through: nobody, cwd: '/' });
        t.equal(await program.json(), 'inherited', `${verb}`);
      }
    }
  },
);

t.test(
  'the preload lends what was passed all the same',
  { skip: withoutOtherUsers() || without('python3') },
  async (t) => {
    const folder = temporaryFolder(t);
    mkdirSync(join(folder, 'closed'), { mode: 0o700 });
    const source = `
    import { createServer } from 'node:net';
    const server = createServer().listen(${JSON.stringify(join(folder, 'closed/s'))});
    server.on('error', ({ code, syscall }) => process.stdout.write(JSON.stringify([code, syscall]) + '\\n', () => process.exit()));`;
    const env = { NODE_OPTIONS: `--require=${join(root, 'dist/register.cjs')}` };
    const program = activateModule(t, source, { fds: ['tcp()'], through: nobody, cwd: '/', env });
    t.same(await program.json(), ['EACCES', 'listen'], 'its own path fails as it does without the preload');
  },
);
