// What only a newer systemd does. On an older one these tests are skipped: docs/maintainers/matrix.md says how to boot the newest.
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { get, getJson } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { execStart, olderThan, withSystemd, withoutSystemd } from '../support/systemd.ts';
import { without } from '../support/tools.ts';

const needs = (version: number): string | false => withoutSystemd() || olderThan(version);

t.test('Type=notify-reload: SIGHUP and RELOADING=1 instead of ExecReload=', { skip: needs(253) }, async (t) => {
  const port = await freePort();
  const service = (reload: string): string =>
    `[Service]\nType=notify-reload\nEnvironment=RELOAD=${reload}\nExecStart=${execStart('serve.js')}\n`;
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
    'web.service': service('yes'),
    'bad.socket': `[Socket]\nListenStream=127.0.0.1:${await freePort()}\n`,
    'bad.service': service('fail'),
  };
  await withSystemd({ units }, async (lab) => {
    const answer = await get(port);
    await lab.systemctl('start', 'web.service', 'bad.service');
    for (let i = 1; i <= 3; i++) {
      const before = lab.log().length;
      await lab.systemctl('reload', 'web.service'); // it waits for RELOADING=1 and the READY=1 after it
      await lab.logged(/^reload$/m, before);
      t.equal(await lab.property('web.service', 'ActiveState'), 'active', `reload ${i}`);
    }
    t.equal(await get(port), answer, 'the same process');
    t.equal(await lab.property('web.service', 'ReloadResult'), 'success');

    await lab.systemctl('reload', 'bad.service');
    await lab.logged(/Reload failed, going on as before/);
    t.equal(await lab.property('bad.service', 'ActiveState'), 'active');
  });
});

t.test(
  'OpenFile=: a socket that leads to another service is not served, and not taken for a listener',
  {
    skip: needs(253),
  },
  async (t) => {
    const [port, backend] = [await freePort(), await freePort()];
    const units = {
      'backend.socket': '[Socket]\nListenStream=/run/backend.sock\n',
      'backend.service': `[Service]\nExecStart=${execStart('web.js', String(backend))}\n`,
      'web.service': `[Service]\nType=notify\nOpenFile=/run/backend.sock:backend\nExecStart=${execStart('serve.js')}\nEnvironment='SERVE_OPTIONS={"port":${port},"host":"127.0.0.1"}'\n`,
    };
    await withSystemd({ units }, async (lab) => {
      await lab.systemctl('start', 'web.service');
      await lab.logged(/^listening bound /m);
      t.match(await get(port), /^pid \d+/);
    });
  },
);

t.test('LISTEN_PIDFDID= is ours, and of another process nothing is taken', { skip: needs(259) }, async (t) => {
  const port = await freePort();
  const web = execStart('web.js', String(port));
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
    'web.service': `[Service]\nExecStart=/bin/sh -c 'echo "pidfd $LISTEN_PIDFDID"; exec "$0" "$@"' ${web}\n`,
    'other.socket': '[Socket]\nListenStream=/run/other.sock\n',
    'other.service': `[Service]\nExecStart=/usr/bin/env LISTEN_PIDFDID=1 ${execStart('web.js', '{"activation":"required"}')}\n`,
  };
  await withSystemd({ units }, async (lab) => {
    t.match(await getJson(port), { variables: [] });
    t.match(await lab.logged(/^pidfd (\d+)$/m), [/^pidfd/, /^[1-9]\d*$/]);
    await lab.logged(/^\{.*"source":"inherited".*\}$/m);
    const started = await lab.run('systemctl', 'start', 'other.service');
    t.equal(started.code, 0, started.stderr);
    await lab.logged(/LISTENFDS_NOT_ACTIVATED/);
    await lab.logged(/other\.service: Main process exited, code=exited, status=1/);
    t.match(lab.log(), /No descriptor was passed to this process: LISTEN_PIDFDID is that of another process/);
  });
});

t.test(
  'PassPIDFD=: no descriptor stays of the one that comes with each message',
  { skip: needs(257) || without('python3') },
  async (t) => {
    const units = {
      'log.socket': '[Socket]\nListenDatagram=/run/log.sock\nPassPIDFD=yes\nPassCredentials=yes\n',
      'log.service': `[Service]\nExecStart=${execStart('datagrams.js')}\n`,
    };
    await withSystemd({ units }, async (lab) => {
      t.equal(await lab.property('log.socket', 'PassPIDFD'), 'yes');
      const send = (...messages: string[]): void => {
        const program = `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(sys.argv[1])
for message in sys.argv[2:]: s.send(message.encode())`;
        execFileSync('python3', ['-c', program, lab.path('/run/log.sock'), ...messages]);
      };
      const ask = async (): Promise<any> => {
        const before = lab.log().length;
        send('?');
        return JSON.parse((await lab.logged(/^\{.*\}$/m, before))[0]);
      };
      await ask(); // its standard output is open from then on
      const first = await ask();
      send(...Array.from({ length: 100 }, () => 'x'));
      t.match(await ask(), { messages: 103, descriptors: first.descriptors, pid: Number });
    });
  },
);
