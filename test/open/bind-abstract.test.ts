import t from 'tap';
import { activate, root, activateModule } from '../support/activate.ts';
import { getAbstract } from '../support/http.js';
import { unixQueue } from '../support/queues.ts';
import { without } from '../support/tools.ts';

const skip = without('curl', 'ss');

t.test('an abstract name is bound as it is, where every client finds it', { skip }, async (t) => {
  const name = `listenfds-bind-${process.pid}`;
  const target = JSON.stringify({ address: `@${name}`, backlog: 99 });
  const program = activate(t, [process.execPath, `${root}/test/fixtures/web.js`, target]);
  t.match(await program.json(), { source: 'bound', address: `\0${name}`, url: null });
  t.equal(JSON.parse(await getAbstract(name)).pid, program.pid);
  t.equal(unixQueue(`@${name}`).backlog, 99);
});

t.test('an abstract name in use is EADDRINUSE, and free again when the server closes', { skip }, async (t) => {
  const name = JSON.stringify(`@listenfds-twice-${process.pid}`);
  const program = activateModule(
    t,
    `import { listen } from 'listenfds';
    const app = (_request, response) => response.end();
    const first = await listen(app, ${name});
    const failed = await listen(app, ${name}).catch((error) => error);
    await new Promise((resolve) => first.server.close(resolve));
    const again = await listen(app, ${name});
    again.server.close();
    console.log(JSON.stringify({ code: failed.code, message: failed.message, again: again.source, after: first.server.address() }));`,
  );
  t.match(await program.json(), { code: 'EADDRINUSE', message: /@listenfds-twice/, again: 'bound', after: null });
  t.equal((await program.ended).code, 0);
});
