import { join } from 'node:path';
import t from 'tap';
import { activate, root } from '../support/activate.ts';
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
