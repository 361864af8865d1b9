// What adopting leaves as the manager made it, and what the program says where the two disagree.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import t from 'tap';
import { activate } from '../support/activate.ts';
import { get, getJson } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { tcpQueue, unixQueue } from '../support/queues.ts';
import { commandLine, execStart, fixture, withSystemd, withoutSystemd } from '../support/systemd.ts';
import { without } from '../support/tools.ts';

const skip = withoutSystemd() || without('ss');

t.test('Backlog= is after adoption what it was before', { skip }, async (t) => {
  const limit = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));
  const units: Record<string, string> = {};
  const cases: { name: string; expected: number; backlog: () => number; place: number | string }[] = [];
  for (const asked of [null, 77, 3000]) {
    const name = asked === null ? 'default' : String(asked);
    const [port, path] = [await freePort(), `/run/${name}-${process.pid}.sock`];
    const expected = Math.min(asked ?? 4096, limit);
    cases.push({ name: `tcp-${name}`, expected, backlog: () => tcpQueue(port).backlog, place: port });
    cases.push({ name: `unix-${name}`, expected, backlog: () => unixQueue(path).backlog, place: path });
    for (const [kind, address] of [
      ['tcp', `127.0.0.1:${port}`],
      ['unix', path],
    ] as const) {
      const directive = asked === null ? '' : `Backlog=${asked}\n`;
      units[`${kind}-${name}.socket`] = `[Socket]\nListenStream=${address}\n${directive}`;
      units[`${kind}-${name}.service`] = `[Service]\nExecStart=${execStart('web.js', address)}\n`;
    }
  }
  await withSystemd({ units }, async (lab) => {
    for (const { name, expected, backlog, place } of cases) {
      t.equal(backlog(), expected, `${name} before`);
      await getJson(typeof place === 'string' ? lab.path(place) : place);
      t.equal(backlog(), expected, `${name} after`);
    }
    t.notMatch(lab.log(), /Warning/);
  });
});

t.test(
  'StandardInput=socket: the listener on descriptor 0 is adopted, over TCP and a unix path',
  { skip },
  async (t) => {
    const port = await freePort();
    const service = (target: string) =>
      `[Service]\nStandardInput=socket\nExecStart=${execStart('web.js', JSON.stringify({ address: target, activation: 'required' }))}\n`;
    const units = {
      'tcp.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
      'tcp.service': service(`127.0.0.1:${port}`),
      'unix.socket': '[Socket]\nListenStream=/run/stdin.sock\n',
      'unix.service': service('/run/stdin.sock'),
    };
    await withSystemd({ units }, async (lab) => {
      for (const [name, place] of [
        ['tcp', port],
        ['unix', lab.path('/run/stdin.sock')],
      ] as const) {
        const { pid } = await getJson(place);
        t.equal(await lab.property(`${name}.service`, 'MainPID'), String(pid));
        t.equal(
          (await lab.run('readlink', `/proc/${pid}/fd/0`)).stdout,
          '/dev/null\n',
          'nothing is left on descriptor 0',
        );
      }
      t.match(lab.log(), /"source":"inherited","name":"stdin"/);
      t.notMatch(lab.log(), /Warning/);
    });
  },
);

t.test(
  'a port that the program changed and the socket unit did not: served where it is, with a warning',
  { skip },
  async (t) => {
    const [unit, program] = [await freePort(), await freePort()];
    const units = {
      'web.socket': `[Socket]\nListenStream=127.0.0.1:${unit}\nFileDescriptorName=front\n`,
      'web.service': `[Service]\nExecStart=${execStart('web.js', `127.0.0.1:${program}`)}\n`,
    };
    await withSystemd({ units }, async (lab) => {
      await getJson(unit);
      const [warning] = await lab.logged(/^.*LISTENFDS_ADDRESS_MISMATCH.*$/m);
      t.match(warning, `127.0.0.1:${unit}`);
      t.match(warning, `127.0.0.1:${program}`);
      t.match(warning, "'front'");
      t.match(warning, 'change ListenStream= there');
    });

    const strict = { address: `127.0.0.1:${program}`, mismatch: 'error' };
    units['web.service'] = `[Service]\nExecStart=${execStart('web.js', JSON.stringify(strict))}\n`;
    await withSystemd({ units }, async (lab) => {
      connect(unit, '127.0.0.1').on('error', () => {});
      await lab.logged(/ListenFdsError: The inherited fd 3 .*LISTENFDS_ADDRESS_MISMATCH/s);
      await lab.logged(/web\.service: Main process exited, code=exited, status=1/);
    });
  },
);

t.test('the same program started by hand binds', { skip }, async (t) => {
  const port = await freePort();
  const program = activate(t, [process.execPath, fixture('web.js'), `127.0.0.1:${port}`]);
  t.match(await program.json(), { source: 'bound', name: null, address: { address: '127.0.0.1', port } });
  t.match(await getJson(port), { pid: program.pid });
});

t.test('the socket outlives the service, and who waits in its queue is answered by the next', { skip }, async (t) => {
  const port = await freePort();
  const gate = '/run/gate';
  const units = {
    'web.socket': `[Socket]\nListenStream=127.0.0.1:${port}\n`,
    // From its second start on it waits for the gate, so that a connection is in the queue while no program runs.
    'web.service':
      `[Service]\nExecStartPre=${commandLine('/bin/sh', '-c', `test -p ${gate} || exit 0; echo waiting; read line <${gate}`)}\n` +
      `ExecStart=${execStart('web.js', String(port))}\n`,
  };
  await withSystemd({ units }, async (lab) => {
    const before = await getJson(port);
    t.equal((await lab.run('mkfifo', gate)).code, 0);
    const restarted = lab.systemctl('restart', 'web.service');
    await lab.logged(/^waiting$/m);
    t.equal(await lab.property('web.service', 'MainPID'), '0', 'no program runs');

    const queued = connect(port, '127.0.0.1').setEncoding('utf8');
    await once(queued, 'connect');
    queued.write('GET / HTTP/1.0\r\n\r\n');
    t.equal((await lab.run('sh', '-c', `echo >${gate}`)).code, 0);
    let answer = '';
    for await (const text of queued) answer += text;
    await restarted;

    const after = await lab.property('web.service', 'MainPID');
    t.not(after, String(before.pid));
    t.match(answer, `"pid":${after},`);
    t.match(await get(port), `"pid":${after},`);
  });
});

t.test('nothing of the activation leaks into a child of the service', { skip }, async (t) => {
  const [passed, stdin] = [await freePort(), await freePort()];
  const units = {
    'passed.socket': `[Socket]\nListenStream=127.0.0.1:${passed}\n`,
    'passed.service': `[Service]\nExecStart=${execStart('leaks.js')}\n`,
    'stdin.socket': `[Socket]\nListenStream=127.0.0.1:${stdin}\n`,
    'stdin.service': `[Service]\nStandardInput=socket\nExecStart=${execStart('leaks.js')}\n`,
  };
  await withSystemd({ units }, async () => {
    for (const port of [passed, stdin]) {
      const { listener, children } = await getJson<{ listener: string; children: Record<string, string> }>(port);
      t.match(listener, /^socket:\[\d+\]$/);
      t.equal(Object.keys(children).length, 7);
      for (const [way, got] of Object.entries(children)) {
        t.match(got, /^\/dev\/null$|socket:/m, `${way} reports`);
        t.notOk(got.includes(listener), `${way} has no listener`);
        t.notMatch(got, 'LISTEN_', `${way} has no variable`);
      }
    }
  });
});
