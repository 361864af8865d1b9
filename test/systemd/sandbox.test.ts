// A sandbox that forbids listen(2) to a service which only gets its sockets passed: the call fails, or the process is killed for it.
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { commandLine, execStart, fixture, withSystemd, withoutSystemd } from '../support/systemd.ts';

const skip = withoutSystemd();

const register = join(root, 'dist/register.js');

const programs = {
  'serve()': execStart('serve.js'),
  Express: execStart('express.js'),
  'the preload': commandLine(process.execPath, '--import', register, fixture('unmodified.cjs'), 'listen', '[3000]'),
};
const sandboxes = {
  'that fails': 'SystemCallFilter=~listen\nSystemCallErrorNumber=EPERM\n',
  'that kills': 'SystemCallFilter=~listen\n',
};

for (const kind of ['TCP', 'unix'] as const) {
  for (const [how, sandbox] of Object.entries(sandboxes)) {
    for (const [program, command] of Object.entries(programs)) {
      t.test(`nothing needs a listen(2) ${how}: ${program}, ${kind}`, { skip }, async (t) => {
        const port = await freePort();
        const place = kind === 'unix' ? '/run/web.sock' : `127.0.0.1:${port}`;
        const units = {
          'web.socket': `[Socket]\nListenStream=${place}\n`,
          'web.service': `[Service]\nType=notify\n${sandbox}ExecStart=${command}\n`,
        };
        await withSystemd({ units }, async (lab) => {
          const at = kind === 'unix' ? { socketPath: lab.path(place) } : { port };
          for (let i = 0; i < 3; i++) t.match(await get(at), /pid|hello/);
          if (program !== 'Express') {
            const slow = get({ ...at, path: '/slow?ms=200' });
            await lab.logged(/^"?slow/m);
            await lab.systemctl('stop', 'web.service');
            t.equal(await slow, 'slow', 'it drains as elsewhere');
            t.equal(await lab.property('web.service', 'Result'), 'success');
          }
        });
      });
    }
  }
}

for (const [program, command] of [
  ['serve()', execStart('serve.js')],
  ['the preload', programs['the preload']],
] as const) {
  t.test(`nor have several sockets of one address: ${program}`, { skip }, async (t) => {
    const port = await freePort();
    const place = `ListenStream=127.0.0.1:${port}\n`;
    const units = {
      'web.socket': `[Socket]\n${place}${place}ReusePort=yes\n`,
      'web.service': `[Service]\nType=notify\nSystemCallFilter=~listen\nExecStart=${command}\n`,
    };
    await withSystemd({ units }, async () => {
      for (let i = 0; i < 20; i++) t.match(await get(port), /pid|hello/);
    });
  });
}

t.test('a server that is closed at once is closed, and the next one is served: the preload', { skip }, async (t) => {
  const port = await freePort();
  const program = `
    const { createServer } = require('node:http');
    const server = createServer((request, response) => response.end('hello')).on('error', (error) => console.log(error.code));
    server.listen(3000, () => console.log('listening', server.listening)).close((error) => {
      console.log('closed', error?.code, server.listening);
      setTimeout(() => server.listen(3000), 300);
    });`;
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
    'web.service': `[Service]\nType=notify\nSystemCallFilter=~listen\nExecStart=${commandLine(process.execPath, '--import', register, '--eval', program.replaceAll(/\s+/g, ' '))}\n`,
  };
  await withSystemd({ units }, async (lab) => {
    t.match(await get(port), /hello/);
    t.match(lab.log(), /^closed undefined false\nlistening true$/m);
    await lab.systemctl('stop', 'web.service');
    t.equal(await lab.property('web.service', 'Result'), 'success');
  });
});
