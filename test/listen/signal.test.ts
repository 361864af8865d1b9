import { join } from 'node:path';
import t from 'tap';
import { activate, resultOf, root } from '../support/activate.ts';
import { ask } from '../support/ask.ts';
import { freePort } from '../support/port.ts';
import { socketActivate } from '../support/socket-activate.ts';
import { without } from '../support/tools.ts';

t.test(
  'an aborted signal closes the server, adopted or bound',
  { skip: without('systemd-socket-activate') },
  async (t) => {
    const place = { host: '127.0.0.1', port: await freePort() };
    const command = [process.execPath, join(root, 'test/fixtures/abort.js'), JSON.stringify(place)];

    const activated = await socketActivate(t, command, { addresses: [`127.0.0.1:${place.port}`] });
    t.equal(await ask('http', place), 'hello');
    t.match(await activated.json(), { source: 'inherited' });
    t.match(await activated.ended, { code: 0, stdout: /^closed$/m });

    const byHand = activate(t, command);
    t.match(await byHand.json(), { source: 'bound' });
    t.equal(await ask('http', place), 'hello');
    t.match(await byHand.ended, { code: 0, stdout: /^closed$/m });
  },
);

for (const fds of [[], ['tcp()']]) {
  t.test(
    `what is aborted before it listens rejects with the reason, ${fds.length > 0 ? 'adopted' : 'bound'}`,
    async (t) => {
      const outcome = await resultOf(
        t,
        `import { listen, serve } from 'listenfds';
      const outcome = (promise) => promise.then(() => 'resolves', (error) => error.name);
      const before = await outcome(listen(() => {}, { port: 0, signal: AbortSignal.abort() }));
      const served = await outcome(serve(() => {}, { port: 0, signal: AbortSignal.abort() }));
      const controller = new AbortController();
      const late = outcome(listen(() => {}, { port: 0, signal: controller.signal, mismatch: 'ignore' }));
      controller.abort();
      console.log(JSON.stringify([before, served, await late, process.listenerCount('SIGTERM')]));`,
        { fds },
      );
      t.same(outcome, ['AbortError', 'AbortError', 'AbortError', 0]);
    },
  );
}
