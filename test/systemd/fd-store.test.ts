// What the manager keeps for a service while it is gone.
import { mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { execStart, withSystemd, withoutSystemd, type Lab } from '../support/systemd.ts';

const skip = withoutSystemd();

interface Start {
  readonly pid: number;
  readonly passed: readonly { name: string; address: unknown }[];
  readonly listening: readonly { source: string; name: string | null; address: unknown }[];
  readonly stored: readonly boolean[];
  readonly removed: readonly boolean[];
}

/** A service that does what the plan says at each start. */
class Stored {
  readonly folder: string;
  readonly units: Record<string, string>;
  #lab!: Lab;

  constructor(t: { teardown(action: () => unknown): unknown }, more = 'FileDescriptorStoreMax=32\n') {
    this.folder = realpathSync(temporaryFolder(t));
    this.units = {
      'kept.service': `[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\n${more}ExecStart=${execStart('stored.js', join(this.folder, 'plan'))}\n`,
    };
  }

  run(body: (lab: Lab) => Promise<void>): Promise<void> {
    return withSystemd({ units: this.units, bind: [this.folder] }, (lab) => {
      this.#lab = lab;
      return body(lab);
    });
  }

  /** What it found and did at this start. */
  async start(plan: object, verb: 'start' | 'restart' = 'restart'): Promise<Start> {
    writeFileSync(join(this.folder, 'plan'), JSON.stringify(plan));
    const before = this.#lab.log().length;
    await this.#lab.systemctl(verb, 'kept.service');
    return JSON.parse((await this.#lab.logged(/^\{.*\}$/m, before))[0]) as Start;
  }

  async count(): Promise<number> {
    return Number(await this.#lab.property('kept.service', 'NFileDescriptorStore'));
  }
}

/** Connects, again and again, until told to stop; each answer or failure counts. */
function knock(port: number) {
  const pids = new Set<string>();
  const failures: string[] = [];
  let running = true;
  const ask = async (): Promise<void> => {
    try {
      pids.add(await get(port));
    } catch (error) {
      failures.push((error as NodeJS.ErrnoException).code!);
    }
  };
  const client = async (): Promise<void> => {
    while (running) {
      await ask();
      await sleep(2); // the service is to restart, not to be kept from it
    }
  };
  const clients = Promise.all([client(), client(), client()]);
  return {
    pids,
    failures,
    stop: () => {
      running = false;
      return clients;
    },
  };
}

t.test('a self-bound port outlives 20 restarts, and no connection is refused', { skip }, async (t) => {
  const port = await freePort();
  const units = {
    'web.service': `[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nFileDescriptorStoreMax=1\nExecStart=${execStart('../../examples/stored.js', String(port))}\n`,
  };
  await withSystemd({ units }, async (lab) => {
    await lab.systemctl('start', 'web.service');
    await lab.logged(/^bound: /m);
    const { pids, failures, stop } = knock(port);
    while (pids.size === 0 && failures.length === 0) await sleep(5);
    for (let i = 0; i < 20; i++) {
      const before = lab.log().length;
      await lab.systemctl('restart', 'web.service');
      await lab.logged(/^inherited: /m, before);
      // Each process answers at least once.
      while (pids.size < i + 2 && failures.length === 0) await sleep(5);
    }
    await stop();
    t.strictSame(failures, []);
    t.equal(pids.size, 21, 'each start has answered');
    t.equal(await lab.property('web.service', 'NFileDescriptorStore'), '1', 'stored once');
  });
});

t.test('without a store the same restarts refuse connections', { skip }, async (t) => {
  const port = await freePort();
  const service = new Stored(t, '');
  await service.run(async () => {
    const targets = [{ port, host: '127.0.0.1', store: 'web' }];
    t.match(await service.start({ targets }, 'start'), { listening: [{ source: 'bound', name: null }] });
    const { failures, stop } = knock(port);
    for (let i = 0; i < 5 && failures.length === 0; i++) {
      t.match(await service.start({ targets }), { passed: [], listening: [{ source: 'bound' }] });
    }
    await stop();
    t.ok(failures.length > 0);
  });
});

t.test('unix paths and abstract names survive too, and a path lasts as long as its socket', { skip }, async (t) => {
  const service = new Stored(t);
  await service.run(async (lab) => {
    const abstract = `\0listenfds-stored-${process.pid}`;
    const targets = [
      { path: '/run/kept.sock', mode: '0600', store: 'path' },
      { path: abstract, store: 'abstract' },
    ];
    const first = await service.start({ targets }, 'start');
    t.match(first.listening, [{ source: 'bound' }, { source: 'bound' }]);
    t.equal(await get(lab.path('/run/kept.sock')), String(first.pid));
    const second = await service.start({ targets });
    t.match(second.listening, [
      { source: 'inherited', name: 'path', address: '/run/kept.sock' },
      { source: 'inherited', name: 'abstract', address: abstract },
    ]);
    t.equal(await get(lab.path('/run/kept.sock')), String(second.pid));

    // Somebody cleans up /run: the socket is there, but nobody finds it.
    await lab.run('rm', '/run/kept.sock');
    const third = await service.start({ targets });
    t.match(third.listening, [{ source: 'bound', address: '/run/kept.sock' }, { source: 'inherited' }]);
    t.equal(await get(lab.path('/run/kept.sock')), String(third.pid));
    t.equal(await service.count(), 2);
    t.match((await service.start({ targets })).listening, [{ source: 'inherited' }, { source: 'inherited' }]);
    t.notMatch(lab.log(), /Warning/);
  });
});

t.test('when the configured address changes, the old socket is given up', { skip }, async (t) => {
  const [old, fresh] = [await freePort(), await freePort()];
  const service = new Stored(t);
  await service.run(async () => {
    await service.start({ targets: [{ port: old, host: '127.0.0.1', store: 'web' }] }, 'start');
    const moved = await service.start({ targets: [{ port: fresh, host: '127.0.0.1', store: 'web' }] });
    t.match(moved, { passed: [{ name: 'web' }], listening: [{ source: 'bound', address: { port: fresh } }] });
    t.equal(await get(fresh), String(moved.pid));
    const socket = connect({ host: '127.0.0.1', port: old });
    const refused = await new Promise((resolve) => {
      socket
        .on('error', (error: NodeJS.ErrnoException) => resolve(error.code))
        .on('connect', () => resolve('connected'));
    });
    socket.destroy();
    t.equal(refused, 'ECONNREFUSED', 'nobody holds the old port');
    t.equal(await service.count(), 1);

    // From one address to all of them is a change, too; another name does not take what is stored under this one.
    t.match(await service.start({ targets: [{ port: fresh, store: 'web' }] }), {
      listening: [{ source: 'bound', address: { address: '::' } }],
    });
    const other = await freePort();
    t.match(
      await service.start({
        targets: [
          { port: other, host: '127.0.0.1', store: 'other' },
          { port: fresh, store: 'web' },
        ],
      }),
      { listening: [{ source: 'bound' }, { source: 'inherited', name: 'web' }] },
    );
    t.equal(await service.count(), 2);
  });
});

t.test('descriptors come back under their names until they are removed, or the service stops', { skip }, async (t) => {
  const service = new Stored(t);
  const files = ['a', 'b', 'c'].map((name) => join(service.folder, name));
  for (const file of files) writeFileSync(file, '');
  const [a, b, c] = files as [string, string, string];
  await service.run(async (lab) => {
    const store = { 'one name': [a, b], other: [c] };
    t.match(await service.start({ store }, 'start'), { passed: [], stored: [true, true] });
    t.equal(await service.count(), 3);
    const { passed } = await service.start({});
    const sorted = [...passed].sort((one, two) => String(one.address).localeCompare(String(two.address)));
    t.strictSame(sorted, [
      { name: 'one name', address: a },
      { name: 'one name', address: b },
      { name: 'other', address: c },
    ]);
    t.match(await service.start({ remove: ['one name', 'nothing'] }), { passed: { length: 3 }, removed: [true, true] });
    t.strictSame((await service.start({})).passed, [{ name: 'other', address: c }]);
    await lab.systemctl('stop', 'kept.service');
    t.strictSame((await service.start({}, 'start')).passed, [], 'a stop gives everything up');
  });
});

t.test('open connections outlive restarts and upgrades, and their clients notice nothing', { skip }, async (t) => {
  const port = await freePort();
  const units = {
    'web.socket': `[Socket]\nListenStream=${port}\n`,
    'web.service': `[Service]\nType=notify\nEnvironment=PORT=${port}\nFileDescriptorStoreMax=16\nExecStart=${execStart('../../examples/connections.js')}\nExecReload=kill -USR2 $MAINPID\n`,
  };
  await withSystemd({ units }, async (lab) => {
    const clients = [1, 2, 3].map(() => connect(port, '127.0.0.1').setEncoding('utf8'));
    const ask = async (client: Socket, line: string): Promise<{ count: number; pid: number }> => {
      client.write(line);
      const [count, pid, ...echo] = String((await once(client, 'data'))[0]).split(' ');
      t.equal(echo.join(' '), line);
      return { count: Number(count), pid: Number(pid) };
    };
    const askAll = async (): Promise<{ count: number; pid: number }> => {
      let last = { count: 0, pid: 0 };
      for (const client of clients) last = await ask(client, 'a line');
      return last;
    };
    const processes = [await askAll()];
    for (const verb of ['restart', 'reload', 'restart']) {
      const before = lab.log().length;
      await lab.systemctl(verb, 'web.service');
      await lab.logged(/ 3$/m, before);
      processes.push(await askAll());
    }
    t.equal(new Set(processes.map(({ pid }) => pid)).size, 4, 'each time another process answers');
    t.same(
      processes.map(({ count }) => count),
      [3, 3, 6, 3],
      'an upgrade hands over the count as well',
    );
    t.equal(await lab.property('web.service', 'NFileDescriptorStore'), '0', 'nothing stays in the store');

    const [first, second, third] = clients as [Socket, Socket, Socket];
    const ended = once(first.end(), 'close');
    await ended;
    t.pass('a client that ends has its connection ended by the process that has it now');
    await lab.systemctl('stop', 'web.service');
    await Promise.all([second, third].map((client) => client.destroyed || once(client, 'close')));
    t.pass('a stop ends the rest');
    t.notMatch(lab.log(), /Warning|Failed with result/);
  });
});

t.test('over FileDescriptorStoreMax= descriptors are lost, and nobody tells', { skip }, async (t) => {
  const service = new Stored(t, 'FileDescriptorStoreMax=2\n');
  const files = Array.from({ length: 5 }, (_, i) => join(service.folder, `file-${i}`));
  for (const file of files) writeFileSync(file, '');
  await service.run(async () => {
    t.match(await service.start({ store: { many: files } }, 'start'), { stored: [true] });
    t.equal(await service.count(), 2);
    t.equal((await service.start({})).passed.length, 2);
  });
});

t.test('more descriptors than one message carries', { skip }, async (t) => {
  const service = new Stored(t, 'FileDescriptorStoreMax=1000\nLimitNOFILE=4096\n');
  const folder = join(service.folder, 'many');
  mkdirSync(folder);
  const files = Array.from({ length: 600 }, (_, i) => join(folder, String(i)));
  for (const file of files) writeFileSync(file, '');
  await service.run(async () => {
    t.match(await service.start({ store: { many: files } }, 'start'), { stored: [true] });
    t.equal(await service.count(), 600);
    t.equal((await service.start({})).passed.length, 600);
  });
});
