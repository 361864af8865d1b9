// Idle connections over restarts of a real service: the manager keeps them, and nobody waits for them.
import { once } from 'node:events';
import { realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { freePort } from '../support/port.ts';
import { RawClient } from '../support/raw-client.ts';
import { commandLine, execStart, fixture, withSystemd, withoutSystemd, type Lab } from '../support/systemd.ts';

const skip = withoutSystemd();
const line = /\w+ \d+ \{.*\}\n$/;

interface Answer {
  readonly server: string;
  readonly pid: number;
  readonly stats: { accepted: number; active: number; refused: number };
}

async function ask(client: RawClient, path = '/'): Promise<Answer> {
  const [, server, pid, stats] = /(\w+) (\d+) (\{.*\})\n$/.exec(await client.ask(path, line))!;
  return { server: server!, pid: Number(pid), stats: JSON.parse(stats!) as Answer['stats'] };
}

interface Moving {
  readonly plan: string;
  readonly ports: readonly [number, number];
  readonly path: string;
  client(target: number | string): RawClient;
}

/** A lab with the service, started once. */
async function withService(
  t: { teardown(action: () => unknown): unknown },
  more: string,
  body: (lab: Lab, service: Moving) => Promise<void>,
): Promise<void> {
  const folder = realpathSync(temporaryFolder(t));
  const [plan, path] = [join(folder, 'plan'), join(folder, 'socket')];
  const ports = [await freePort(), await freePort()] as const;
  writeFileSync(plan, '');
  const command = execStart('moving.js', plan, String(ports[0]), String(ports[1]), path);
  const units = {
    'web.service': `[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nKillMode=mixed\n${more}ExecStart=${command}\n`,
  };
  const clients: RawClient[] = [];
  await withSystemd({ units, bind: [folder] }, async (lab) => {
    await lab.systemctl('start', 'web.service');
    const client = (target: number | string): RawClient => {
      const one = new RawClient(typeof target === 'number' ? target : { path: target });
      clients.push(one);
      return one;
    };
    await body(lab, { plan, ports, path, client });
    for (const client of clients) client.socket.destroy();
  });
}

const elapsed = async (work: Promise<unknown>): Promise<number> => {
  const started = performance.now();
  await work;
  return performance.now() - started;
};

t.test('restarts keep idle connections, each with its server', { skip }, async (t) => {
  await withService(t, 'FileDescriptorStoreMax=2\n', async (lab, { plan, ports, path, client }) => {
    const targets: [number | string, string][] = [
      [ports[0], 'fastify'],
      [ports[1], 'http'],
      [path, 'unix'],
    ];
    const clients = targets.flatMap(([target, server]) =>
      Array.from({ length: 50 }, () => ({ server, client: client(target) })),
    );
    let last = 0;
    for (const { client, server } of clients) {
      const answer = await ask(client);
      t.equal(answer.server, server);
      last = answer.pid;
    }
    for (let i = 0; i < 3; i++) {
      const inFlight = client(ports[1]);
      inFlight.send('/?ms=500');
      const took = await elapsed(lab.systemctl('restart', 'web.service'));
      t.ok(took < 4_000, `restart ${i}: ${took} ms`);
      await inFlight.until(line);
      t.match(inFlight.text, new RegExp(`http ${last} `), 'what is in flight is answered by the old process');
      const next = await ask(inFlight);
      t.not(next.pid, last, 'and goes on with the next one');
      const answers = await Promise.all(clients.map(({ client }) => ask(client)));
      t.same(
        answers.map(({ server }) => server),
        clients.map(({ server }) => server),
      );
      t.same(new Set(answers.map(({ pid }) => pid)), new Set([next.pid]), 'all on the connections they had');
      t.equal(answers[0]!.stats.refused, 0);
      t.equal(answers.at(-1)!.stats.active, 151 + i, 'and all are counted');
      t.equal(await lab.property('web.service', 'NFileDescriptorStore'), '0', 'nothing is left in the store');
      last = next.pid;
    }
    writeFileSync(plan, 'fail');
    await t.rejects(lab.systemctl('restart', 'web.service'), 'a version that crashes at its start');
  });
});

t.test(
  'a client that sends while its connection is in the store is answered, also behind a start that crashes',
  { skip },
  async (t) => {
    const more = 'FileDescriptorStoreMax=2\nRestart=on-failure\nRestartSec=100ms\nExecStartPre=/bin/sleep 0.7\n';
    await withService(t, more, async (lab, { plan, ports, client }) => {
      const one = client(ports[1]);
      const { pid } = await ask(one);
      writeFileSync(plan, 'fail');
      const log = lab.log().length;
      const restarted = lab.systemctl('restart', 'web.service').catch(() => {});
      await lab.logged(/^stopped by SIGTERM/m, log);
      one.text = '';
      one.send('/');
      await restarted;
      await one.until(line);
      t.notMatch(one.text, new RegExp(`http ${pid} `));
      t.match(one.text, /http \d+ /);
    });
  },
);

t.test('an unmodified program under the preload keeps them, over TCP and a unix socket', { skip }, async (t) => {
  const port = await freePort();
  for (const place of [`127.0.0.1:${port}`, '/run/web.sock']) {
    const command = [process.execPath, '--import', join(root, 'dist/register.js'), fixture('unmodified.cjs')];
    const units = {
      'web.socket': `[Socket]\nListenStream=${place}\n`,
      'web.service': `[Service]\nType=notify\nFileDescriptorStoreMax=2\nExecStart=${commandLine(...command, 'listen', `[${port}]`)}\n`,
    };
    await withSystemd({ units }, async (lab) => {
      const client = new RawClient(place.startsWith('/') ? { path: lab.path(place) } : port);
      await client.ask('/', /hello$/);
      await sleep(600); // who has just connected is about to ask
      for (let i = 0; i < 2; i++) {
        const pid = await lab.property('web.service', 'MainPID');
        const took = await elapsed(lab.systemctl('restart', 'web.service'));
        t.ok(took < 3_000, `${took} ms`);
        t.not(await lab.property('web.service', 'MainPID'), pid);
        t.match(await client.ask('/', /hello$/), 'HTTP/1.1 200 OK', place);
      }
      client.socket.destroy();
    });
  }
});

t.test('at a stop the connections end', { skip }, async (t) => {
  await withService(t, 'FileDescriptorStoreMax=2\n', async (lab, { ports, client }) => {
    const idle = client(ports[0]);
    await ask(idle);
    t.ok((await elapsed(lab.systemctl('stop', 'web.service'))) < 3_000);
    await idle.ended;
    t.notOk(idle.socket.errored);
  });
});

t.test(
  'a manager that keeps nothing is given nothing: idle connections get the grace, and the log says what would spare it',
  { skip },
  async (t) => {
    await withService(t, '', async (lab, { ports, client }) => {
      const [idle, late] = [client(ports[0]), client(ports[0])];
      const { pid } = await ask(idle);
      await ask(late);
      const log = lab.log().length;
      const restarting = elapsed(lab.systemctl('restart', 'web.service'));
      await lab.logged(/FileDescriptorStoreMax=/m, log);
      t.equal((await ask(late)).pid, pid, 'a request on its way is answered');
      await once(late.socket, 'close');
      await idle.ended;
      t.ok((await restarting) < 9_000);
      await sleep(0);
    });
  },
);
