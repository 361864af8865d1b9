// What `listenfds inspect` finds out with the help of systemd.
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { root } from '../support/activate.ts';
import { command } from '../support/cli.ts';
import { freePort } from '../support/port.ts';
import { commandLine, execStart, withSystemd, withoutSystemd, type Lab } from '../support/systemd.ts';

const skip = withoutSystemd();

async function inspect(lab: Lab, ...operands: string[]): Promise<any> {
  const { code, stdout, stderr } = await lab.run(process.execPath, command, 'inspect', '--json', ...operands);
  if (stdout === '') throw new Error(stderr);
  return { code, ...JSON.parse(stdout) };
}

function hasFinding(t: Test, report: any, wanted: string, message: RegExp): void {
  t.equal(report.code, 1);
  t.match(
    report.findings.find(({ code }: { code: string }) => code === wanted)?.message ?? JSON.stringify(report.findings),
    message,
    wanted,
  );
}

const sleeping = `ExecStart=${commandLine('sleep', '600')}\n`;

t.test('a service, by its name, its socket’s name or its pid', { skip }, async (t) => {
  const port = await freePort();
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\nFileDescriptorName=http\n`,
    'web.service': `[Service]\nExecStart=${execStart('serve.js')}\nType=notify\n`,
  };
  await withSystemd({ units }, async (lab) => {
    await lab.systemctl('start', 'web.service');
    const pid = await lab.property('web.service', 'MainPID');
    for (const operand of ['web.service', 'web', 'web.socket', pid]) {
      const report = await inspect(lab, operand);
      t.strictSame(report.findings, [], operand);
      t.equal(report.code, 0);
      t.match(report, {
        pid: Number(pid),
        descriptors: [{ fd: 3, name: 'http', address: { port }, holders: [{ pid: 1, name: 'systemd' }] }],
        units: { sockets: [{ Id: 'web.socket' }], service: { Id: 'web.service' } },
      });
    }
    const unknown = await lab.run(process.execPath, command, 'inspect', 'nobody.service');
    t.equal(unknown.code, 2);
    t.match(unknown.stderr, 'systemctl knows no unit nobody.service');
  });
});

t.test('backlog-capped and backlog-shrunk: the queue is not what the unit asks for', { skip }, async (t) => {
  const port = await freePort();
  const program = "require('net').createServer().listen({ fd: 3 })";
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\nBacklog=1000000\n`,
    'web.service': `[Service]\nExecStart=${commandLine(process.execPath, '-e', program)}\n`,
  };
  await withSystemd({ units }, async (lab) => {
    await lab.systemctl('start', 'web.service');
    let report = await inspect(lab, 'web');
    hasFinding(t, report, 'backlog-capped', /web.socket: Backlog=1000000, but net.core.somaxconn is \d+/);
    // Type=simple: it may not have come to listen() yet.
    while (report.descriptors[0].backlog !== 511) report = await inspect(lab, 'web');
    hasFinding(t, report, 'backlog-shrunk', /the backlog in force is 511 instead of \d+/);
  });
});

t.test('reload-needed and unit-differs: the socket unit was changed afterwards', { skip }, async (t) => {
  const [port, other] = [await freePort(), await freePort()];
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
    'web.service': `[Service]\n${sleeping}`,
  };
  await withSystemd({ units }, async (lab) => {
    await lab.systemctl('start', 'web.service');
    writeFileSync(
      lab.path('/run/lab/web.socket'),
      `[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=127.0.0.1:${other}\n`,
    );
    hasFinding(t, await inspect(lab, 'web'), 'reload-needed', /the file of web.socket was changed/);
    await lab.systemctl('daemon-reload');
    const report = await inspect(lab, 'web');
    hasFinding(t, report, 'unit-differs', new RegExp(`says 127.0.0.1:${other}, but .* 127.0.0.1:${port}`));
  });
});

t.test('socket-failed: systemd has given up, and clients are refused', { skip }, async (t) => {
  const port = await freePort();
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
    'web.service': '[Service]\nExecStart=/bin/false\n',
  };
  await withSystemd({ units }, async (lab) => {
    connect(port, '127.0.0.1').on('error', () => {});
    await lab.logged(/web\.socket: Failed with result/);
    hasFinding(t, await inspect(lab, 'web.socket'), 'socket-failed', /web.socket has failed: [a-z-]+-limit-hit/);
  });
});

t.test('socket-stopped: the port goes with the service', { skip }, async (t) => {
  const units = {
    'web.socket': '[Socket]\nListenStream=/run/web.sock\n',
    'web.service': `[Service]\n${sleeping}`,
  };
  await withSystemd({ units }, async (lab) => {
    await lab.systemctl('start', 'web.service');
    await lab.systemctl('stop', 'web.socket');
    hasFinding(t, await inspect(lab, 'web.service'), 'socket-stopped', /web.socket is inactive/);
  });
});

t.test('store-full: what is stored next is dropped', { skip }, async (t) => {
  const program = [
    'import os, socket, time',
    's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)',
    's.connect(os.environ["NOTIFY_SOCKET"])',
    'socket.send_fds(s, [b"FDSTORE=1\\nFDNAME=state"], [os.memfd_create("state")])',
    's.send(b"READY=1")',
    'time.sleep(600)',
  ].join('\n');
  const units = {
    'web.service': `[Service]\nType=notify\nFileDescriptorStoreMax=1\nExecStart=/bin/sh /run/lab/store.sh\n`,
    'store.sh': `exec python3 -c '${program}'\n`,
  };
  await withSystemd({ units }, async (lab) => {
    await lab.systemctl('start', 'web.service');
    const report = await inspect(lab, 'web');
    t.match(report.store, { used: 1, most: 1 });
    hasFinding(t, report, 'store-full', /web.service: 1 of FileDescriptorStoreMax=1/);
  });
});

t.test('started-before-socket: the program has bound what the socket unit is for', { skip }, async (t) => {
  const path = '/run/web.sock';
  for (const place of [`127.0.0.1:${await freePort()}`, path]) {
    const units = {
      'web.socket': `[Socket]\nListenStream=${place}\n`,
      'web.service': `[Service]\nType=notify\nExecStart=${execStart('web.js', place)}\n`,
    };
    await withSystemd({ units, start: ['web.service'] }, async (lab) => {
      await lab.systemctl('start', 'web.service');
      await t.rejects(lab.systemctl('start', 'web.socket'));
      for (const operand of ['web.service', 'web.socket']) {
        const report = await inspect(lab, operand);
        const message = new RegExp(`${place} is bound by the program itself \\(fd \\d+\\), not by web\\.socket`);
        hasFinding(t, report, 'started-before-socket', message);
        t.notMatch(JSON.stringify(report.findings), 'socket-stopped');
      }
    });
  }
});

t.test('a path in the manager’s /tmp is no finding for a service with another one', { skip }, async (t) => {
  const units = {
    'web.socket': '[Socket]\nListenStream=/tmp/web.sock\n',
    'web.service': `[Service]\nType=notify\nPrivateTmp=yes\nBindReadOnlyPaths=${root}\nExecStart=${execStart('serve.js')}\n`,
  };
  await withSystemd({ units }, async (lab) => {
    await lab.systemctl('start', 'web.service');
    t.strictSame((await inspect(lab, 'web')).findings, []);
    const { stdout } = await lab.run(process.execPath, command, 'inspect', 'web');
    t.match(
      stdout,
      /web\.socket: active .*\/tmp\/web\.sock \(Stream\); every local user may connect to the path, SocketMode=0666/,
    );
    const pid = await lab.property('web.service', 'MainPID');
    await lab.run('rm', '/tmp/web.sock');
    hasFinding(t, await inspect(lab, pid), 'path-missing', /\/tmp\/web\.sock does not exist any more/);
  });
});

t.test('runtime-directory: the path goes with each stop of the service', { skip }, async (t) => {
  const units = (more: string): Record<string, string> => ({
    'web.socket': '[Socket]\nListenStream=/run/web/web.sock\nSocketMode=0600\n',
    'web.service': `[Service]\nType=notify\nRuntimeDirectory=web\n${more}ExecStart=${execStart('serve.js')}\n`,
  });
  await withSystemd({ units: units('') }, async (lab) => {
    await lab.systemctl('start', 'web.service');
    const before = await inspect(lab, 'web');
    t.strictSame(
      before.findings.map(({ code }: { code: string }) => code),
      ['runtime-directory'],
      'before it is gone',
    );
    hasFinding(t, before, 'runtime-directory', /^\/run\/web\/web\.sock lies in RuntimeDirectory=web of web\.service$/);
    await lab.systemctl('stop', 'web.service');
    hasFinding(t, await inspect(lab, 'web'), 'runtime-directory', /web\.sock/);
  });
  await withSystemd({ units: units('RuntimeDirectoryPreserve=yes\n') }, async (lab) => {
    await lab.systemctl('start', 'web.service');
    t.strictSame((await inspect(lab, 'web')).findings, []);
  });
});

t.test('not-ready: systemd waits for what the program does not say', { skip }, async (t) => {
  const port = await freePort();
  const program = "require('net').createServer().listen({ fd: 3 }, () => console.log('listens'))";
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
    'web.service': `[Service]\nType=notify\nExecStart=${commandLine(process.execPath, '-e', program)}\n`,
  };
  await withSystemd({ units }, async (lab) => {
    await lab.systemctl('start', '--no-block', 'web.service');
    await lab.logged(/listens/);
    const message = new RegExp(
      `web.service is activating: the program listens on 127.0.0.1:${port} and has not said READY=1`,
    );
    hasFinding(t, await inspect(lab, 'web'), 'not-ready', message);
  });
});
