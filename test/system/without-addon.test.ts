// The addon is there for Linux on x64 and arm64 only. Without it everything works that needs no inherited descriptor.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { activate, resultOf, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { without } from '../support/tools.ts';

t.test('without the addon a program binds by itself, and is told when that is impossible', async (t) => {
  const copy = temporaryFolder(t);
  cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
  cpSync(join(root, 'native'), join(copy, 'native'), { recursive: true });
  cpSync(join(root, 'package.json'), join(copy, 'package.json'));
  const prelude = `
    import fs from 'node:fs';
    import { createServer } from 'node:net';
    import { describe, listen, ListenFdsError, listenFds } from ${JSON.stringify(join(copy, 'dist/index.js'))};
    const done = (value) => process.stdout.write(JSON.stringify(value) + '\\n', () => process.exit());
    const codeOf = (call) => {
      try { return call(); } catch ({ code, message }) { return { code, message }; }
    };
    const listened = (target) => listen(createServer(), target).then(({ source, address }) => ({ source, address }), (error) => (error instanceof ListenFdsError ? error.code : error));
  `;
  const path = join(copy, 's');
  const noAddon = {
    code: 'LISTENFDS_NO_ADDON',
    message: new RegExp(
      `^The native addon cannot be loaded\\. Tried ${copy}/prebuilds/linux-${process.arch}/listenfds\\.node: .*` +
        `; ${copy}/build/Release/listenfds\\.node: .*To build it: npm install --no-save node-addon-api@8 node-api-headers@1 && node ${copy}/native/build\\.js\\. Build it with a C`,
    ),
  };

  await t.test('a program that nothing was passed to works', async (t) => {
    const results = await resultOf(
      t,
      `${prelude}
      const results = [listenFds(), await listened('127.0.0.1:0'), await listened({ path: '${path}', mode: 0o600, group: process.getgid() })];
      done([...results, (fs.statSync('${path}').mode & 0o777).toString(8)]);`,
    );
    t.match(results, [[], { source: 'bound' }, { source: 'bound', address: path }, '600']);
    t.match(
      await resultOf(t, `${prelude} done(await listened('${path}'))`),
      { source: 'bound' },
      'a stale path is replaced',
    );
  });

  await t.test(
    'standard input that is a socket is used only where it listens',
    { skip: without('python3') },
    async (t) => {
      const source = `${prelude} done(await listened('127.0.0.1:0'))`;
      for (const stdin of ['connected()', 'accepted()', 'connected(socket.SOCK_DGRAM)'])
        t.match(await resultOf(t, source, { stdin }), { source: 'bound' }, stdin);
      for (const stdin of ['tcp()', 'udp()', `unix("${copy}/listening")`])
        t.equal(await resultOf(t, source, { stdin }), 'LISTENFDS_NO_ADDON', stdin);
    },
  );

  await t.test(
    'descriptors that were passed cannot be checked, so none is used',
    { skip: without('python3') },
    async (t) => {
      const results = await resultOf(
        t,
        `${prelude}
      done([codeOf(listenFds), codeOf(listenFds), await listened(0), Object.keys(process.env).filter((name) => name.startsWith('LISTEN'))]);`,
        { fds: ['tcp()'] },
      );
      t.match(results, [noAddon, noAddon, 'LISTENFDS_NO_ADDON', []]);
      t.match(await resultOf(t, `${prelude} done(codeOf(() => describe(0)))`), noAddon);
    },
  );

  await t.test('what was passed to somebody else does not matter', async (t) => {
    t.match(await resultOf(t, `${prelude} done(await listened('127.0.0.1:0'))`, { count: 1, pid: 1 }), {
      source: 'bound',
    });
  });

  await t.test('names of users need the addon, long paths do not', async (t) => {
    const results = await resultOf(
      t,
      `${prelude}
      const deep = '${copy}/' + 'd'.repeat(${100 - copy.length});
      fs.mkdirSync(deep);
      done([await listened({ path: '${path}', user: 'root' }), await listened(deep + '/s'), fs.readdirSync(deep)]);`,
    );
    t.match(results, ['LISTENFDS_NO_ADDON', { source: 'bound' }, ['s']]);
  });
});

t.test('where Node.js was told to load no addons, the error says that', async (t) => {
  const source = `import { listen } from 'listenfds';
    listen(() => {}, 0).then(({ source, server }) => server.close(console.log(source)), ({ code, message }) => console.log(code, message));`;
  const command = [process.execPath, '--no-addons', '--input-type=module', '--eval', source];
  t.match(await activate(t, command, { fds: ['tcp()'] }).line(), /^LISTENFDS_ADDONS_DISABLED .*--allow-addons/);
  t.equal(await activate(t, command).line(), 'bound');
});
