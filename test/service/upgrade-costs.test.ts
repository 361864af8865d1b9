// What an upgrade costs the old process: memory while the successor starts, and nothing that stays where it fails.
import { readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { temporaryFolder } from '../support/folder.ts';
import { alive, answer, start, upgrade } from '../support/upgradable.ts';

const options = { port: 0, host: '127.0.0.1' };

/** In kB, of /proc/PID/smaps_rollup: proc_pid_smaps(5). */
const memory = (pid: number, field: string): number =>
  Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))![1]);

t.test('the process between a big service and its successor has next to no memory', async (t) => {
  // Written to all the time: what another process maps of it has to be copied.
  const heap = `if (!process.env.LISTENFDS_UPGRADE) {
    const heap = Buffer.alloc(200 << 20, 1);
    setInterval(() => heap.fill(Date.now()), 50).unref();
  }`;
  const env = { NODE_OPTIONS: `--import="data:text/javascript,${encodeURIComponent(heap)}"` };
  const service = await start(t, { options, env });
  service.behave('tell');
  const asked = upgrade(service.pid);
  const successor = Number(/^successor (\d+)$/.exec(await service.line())![1]);
  const between = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${successor}/status`, 'utf8'))![1]);
  t.not(between, service.pid);
  await sleep(300); // the heap is written to once at least
  t.ok(memory(service.pid, 'Private_Dirty') > 200 << 10);
  for (const field of ['Private_Clean', 'Private_Dirty', 'Rss']) {
    const found = memory(between, field);
    t.ok(found < 2048, `${field}: ${found} kB`);
  }
  t.equal((await asked).exitCode, 0);
});

const descriptors = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/fd`)
    .flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/:\[\d+\]$/, '')];
      } catch {
        return []; // it is closed by now
      }
    })
    .sort();

interface Failure {
  kind: string;
  behaviour: string;
  message: RegExp;
  /** Options of upgrade. */
  more?: object;
  program?: string;
}

const failures: Failure[] = [
  { kind: 'the successor exits', behaviour: 'exit', message: /ended with status 0 before it was ready/ },
  { kind: 'the successor hangs', behaviour: 'hang', message: /was not ready in time/, more: { timeout: 400 } },
  { kind: 'the program is not executable', behaviour: '', message: /EACCES/, more: { command: ['plain'] } },
  { kind: 'prepare() throws', behaviour: 'throw', message: /not today/, program: 'upgrade-prepare.js' },
  { kind: 'prepare() returns a Set', behaviour: 'not a list', message: /connections/, program: 'upgrade-prepare.js' },
];

for (const { kind, behaviour, message, more, program } of failures) {
  t.test(`a failed upgrade leaves no descriptor open: ${kind}`, async (t) => {
    const plain = join(temporaryFolder(t), 'plain');
    writeFileSync(plain, '');
    const upgradeOptions = JSON.parse(JSON.stringify(more ?? {}).replace('plain', plain)) as object;
    const service = await start(t, {
      options: { ...options, upgrade: upgradeOptions },
      ...(program ? { program } : {}),
    });
    service.behave(behaviour);
    const fail = async (): Promise<void> => {
      const { exitCode, stderr } = await upgrade(service.pid);
      t.equal(exitCode, 1);
      t.match(stderr, message);
    };
    await fail(); // the pipe to the thread that closes descriptors is made once, and stays
    const before = descriptors(service.pid);
    for (let i = 0; i < 5; i++) await fail();
    // What asked for the upgrades closes in its own time; what leaks never does.
    while (descriptors(service.pid).length > before.length) await new Promise((done) => setImmediate(done));
    t.same(alive(service), [service.pid]);
    if (!program) t.equal(await answer(service.port), `pid ${service.pid}`);
  });
}
