import { cpSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { resultOf, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';

t.test('without the addon notify() says false, and nothing throws', async (t) => {
  const folder = temporaryFolder(t);
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  const source = `const { notify, notifyBarrier, watchdogEnabled, booted } = await import(${JSON.stringify(join(folder, 'dist/index.js'))});
    const code = async (action) => { try { return await action(); } catch (error) { return [error.code, error.message]; } };
    console.log(JSON.stringify([
      await code(() => notify({ ready: true })),
      await code(() => notifyBarrier()),
      watchdogEnabled(),
      typeof booted(),
    ]));`;
  t.same(await resultOf(t, source), [false, false, null, 'boolean'], 'nobody listens, and nothing is missed');
  const listened = await resultOf(t, source, { env: { NOTIFY_SOCKET: '/nonexistent' } });
  t.match(listened[0], ['LISTENFDS_NO_ADDON', /listenfds\.node/], 'somebody listens, so it is an error');
  t.match(listened[1], ['LISTENFDS_NO_ADDON']);
});
