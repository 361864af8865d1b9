// What a service manager does with a socket unit, and what the library makes of it.
import t from 'tap';
import { get, getAbstract, getJson } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { without } from '../support/tools.ts';
import { execStart, withSystemd, withoutSystemd } from '../support/systemd.ts';

const skip = withoutSystemd() || without('curl');

t.test(
  'the first connection starts the program, which serves it on the socket that systemd holds',
  { skip },
  async (t) => {
    const port = await freePort();
    const units = {
      'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
      'web.service': `[Service]\nExecStart=${execStart('web.js', String(port))}\n`,
    };
    await withSystemd({ units }, async (lab) => {
      t.equal(await lab.property('web.service', 'ActiveState'), 'inactive', 'not running before');
      t.equal(await lab.property('web.service', 'MainPID'), '0');

      const { pid, variables } = await getJson(port);
      t.equal(await lab.property('web.service', 'MainPID'), String(pid));
      t.same(variables, [], 'LISTEN_* are consumed');
      const [line] = await lab.logged(/^\{.*\}$/m);
      t.match(JSON.parse(line), { source: 'inherited', name: 'web.socket', address: { address: '127.0.0.1', port } });
      t.notMatch(lab.log(), /Warning/);
    });
  },
);

t.test('requests to a unix path and to an abstract name start their services', { skip }, async (t) => {
  const abstract = `listenfds-test-${process.pid}`;
  const units = {
    'path.socket': '[Socket]\nListenStream=/run/web.sock\nSocketMode=0600\n',
    'path.service': `[Service]\nExecStart=${execStart('web.js', '/run/web.sock')}\n`,
    'abstract.socket': `[Socket]\nListenStream=@${abstract}\n`,
    'abstract.service': `[Service]\nExecStart=${execStart('web.js', `@${abstract}`)}\n`,
  };
  await withSystemd({ units }, async (lab) => {
    const { pid } = await getJson(lab.path('/run/web.sock'));
    t.equal(await lab.property('path.service', 'MainPID'), String(pid));
    t.match(await lab.logged(/^\{"address":"\/run.*\}$/m), ['"source":"inherited"']);

    const other = JSON.parse(await getAbstract(abstract));
    t.equal(await lab.property('abstract.service', 'MainPID'), String(other.pid));
    t.match(await lab.logged(/^\{"address":"\\u0000.*\}$/m), ['"source":"inherited"']);
    t.notMatch(lab.log(), /Warning/);
  });
});

t.test('several sockets of one service are told apart by FileDescriptorName=', { skip }, async (t) => {
  const [web, admin] = [await freePort(), await freePort()];
  const units = {
    // The order of the units is not the order in which the program asks.
    'a.socket': `[Socket]\nListenStream=127.0.0.1:${web}\nFileDescriptorName=web\nService=both.service\n`,
    'b.socket': `[Socket]\nListenStream=127.0.0.1:${admin}\nFileDescriptorName=admin\nService=both.service\n`,
    'c.socket': '[Socket]\nListenStream=/run/control.sock\nFileDescriptorName=control\nService=both.service\n',
    'both.service': `[Service]\nExecStart=${execStart('by-name.js', 'control', 'admin', 'web')}\n`,
  };
  await withSystemd({ units }, async (lab) => {
    t.equal(await get(web), 'web');
    t.equal(await get(admin), 'admin');
    t.equal(await get(lab.path('/run/control.sock')), 'control');
  });
});

t.test('an Express and a Fastify application that know nothing of descriptors', { skip }, async (t) => {
  const port = await freePort();
  const units = {
    'express.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
    'express.service': `[Service]\nExecStart=${execStart('apps/express.js', String(port))}\n`,
    'fastify.socket': '[Socket]\nListenStream=/run/fastify.sock\n',
    'fastify.service': `[Service]\nExecStart=${execStart('apps/fastify.js', '/run/fastify.sock')}\n`,
  };
  await withSystemd({ units }, async (lab) => {
    t.equal(await get(port), 'hello');
    t.equal(await get(lab.path('/run/fastify.sock')), 'hello');
    await lab.logged(/^Server listening at \/run\/fastify\.sock$/m);
    await lab.systemctl('stop', 'fastify.service');
    await lab.logged(/^closed$/m);
    t.notMatch(lab.log(), /Warning/);
  });
});
