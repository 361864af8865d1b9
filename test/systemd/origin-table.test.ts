// Where a socket came from, and what follows from that: each cell of the table in docs/maintainers/design.md, under a real systemd.
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { command } from '../support/cli.ts';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { commandLine, execStart, withSystemd, withoutSystemd, type Lab } from '../support/systemd.ts';

const skip = withoutSystemd();

interface Told {
  readonly origin: string;
  readonly address: { readonly port: number } | string;
  readonly warnings: string[];
}

/** What is expected of a row. */
interface Row {
  readonly origin: 'manager' | 'store' | 'predecessor' | 'self';
  /** After it was asked for another address: where it listens then. */
  readonly moved: 'stays and warns' | 'moves';
  readonly idleExit: boolean;
  /** After `systemctl stop`: a client is answered by a new process, or refused. */
  readonly kept: boolean;
  /** Connections that wait in its queue when it stops accepting are answered by the next process, or by itself. */
  readonly queue: 'stays' | 'accepted';
  /** After `systemctl stop`: its unix path. */
  readonly path: 'stays' | 'removed';
}

const rows: Row[] = [
  { origin: 'manager', moved: 'stays and warns', idleExit: true, kept: true, queue: 'stays', path: 'stays' },
  { origin: 'store', moved: 'moves', idleExit: false, kept: false, queue: 'stays', path: 'stays' },
  { origin: 'predecessor', moved: 'moves', idleExit: false, kept: false, queue: 'accepted', path: 'removed' },
  { origin: 'self', moved: 'moves', idleExit: false, kept: false, queue: 'accepted', path: 'removed' },
];

type Kind = 'TCP' | 'unix';

class Service {
  readonly #lab: Lab;
  readonly #row: Row;
  readonly #kind: Kind;
  /** Where it was asked for first, and where later. */
  readonly places: readonly (number | string)[];

  constructor(lab: Lab, row: Row, kind: Kind, places: readonly (number | string)[]) {
    this.#lab = lab;
    this.#row = row;
    this.#kind = kind;
    this.places = places;
  }

  /** What the next start is to do. */
  configure(which: 0 | 1, options: object = {}, pause = 0): void {
    const place = this.places[which]!;
    const at = this.#kind === 'unix' ? { path: place } : { port: place, host: '127.0.0.1' };
    const target = this.#row.origin === 'store' ? { ...at, store: 'web' } : at;
    const text = JSON.stringify({ target, options: { upgrade: true, ...options }, pause });
    writeFileSync(this.#lab.path('/run/target'), `#! ${text}\n`);
  }

  async #told(act: Promise<unknown>, after: number): Promise<Told> {
    await act;
    const [, text] = await this.#lab.logged(/\{"told":(.*)\}\n/, after);
    return JSON.parse(text!) as Told;
  }

  /** Has it start anew in the way that gives its socket the origin of the row. */
  again(): Promise<Told> {
    const how = { manager: 'restart', store: 'restart', predecessor: 'reload', self: 'restart' } as const;
    return this.#told(this.#lab.systemctl(how[this.#row.origin], 'web.service'), this.#lab.log().length);
  }

  start(): Promise<Told> {
    return this.#told(this.#lab.systemctl('start', 'web.service'), this.#lab.log().length);
  }

  /** Connects and asks. @returns the code of the error, or the status line */
  ask(which: 0 | 1): Promise<string> {
    const place = this.places[which]!;
    const at = typeof place === 'string' ? { path: this.#lab.path(place) } : { port: place, host: '127.0.0.1' };
    return new Promise((resolve) => {
      const client = connect(at, () => client.end('GET / HTTP/1.0\r\n\r\n'));
      client.setEncoding('utf8').once('data', (text: string) => resolve(text.slice(0, 15)));
      client.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code!));
    });
  }

  /** Has clients come while it stands still at its end. @returns the pids that answer them, or codes of errors */
  async queue(how: 'stop' | 'restart'): Promise<{ before: string; answers: string[] }> {
    const after = this.#lab.log().length;
    const ended = this.#lab.systemctl(how, 'web.service');
    const [, before] = await this.#lab.logged(/^(\d+) stands still$/m, after);
    const place = this.places[0]!;
    const at = typeof place === 'string' ? { socketPath: this.#lab.path(place) } : { port: place, host: '127.0.0.1' };
    const clients = Array.from({ length: 60 }, () =>
      get({ ...at, path: '/', agent: false }).catch(({ code }: NodeJS.ErrnoException) => code!),
    );
    await ended;
    return { before: before!, answers: await Promise.all(clients) };
  }

  where({ address }: Told): number | string {
    return typeof address === 'string' ? address : address.port;
  }
}

t.jobs = 2;

for (const row of rows) {
  for (const kind of ['TCP', 'unix'] as const) {
    t.test(`${row.origin}, ${kind}`, { skip }, async (t) => {
      const places = kind === 'unix' ? ['/run/one.sock', '/run/two.sock'] : [await freePort(), await freePort()];
      const socket = `[Socket]\nListenStream=${kind === 'unix' ? places[0] : `127.0.0.1:${places[0]}`}\n`;
      const units = {
        ...(row.origin === 'manager' ? { 'web.socket': socket } : { 'none.target': '[Unit]\n' }),
        'web.service':
          '[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nFileDescriptorStoreMax=4\nEnvironment=TARGET=/run/target\n' +
          `ExecStart=${execStart('origin.js')}\nExecReload=${commandLine(process.execPath, command, 'upgrade')} $MAINPID\n`,
      };
      await withSystemd({ units }, async (lab) => {
        const service = new Service(lab, row, kind, places);
        const state = (): Promise<string> => lab.property('web.service', 'ActiveState');
        service.configure(0, { idleTimeout: '600ms' });
        const first = await service.start();
        t.equal(first.origin, row.origin === 'manager' ? 'manager' : 'self');
        const idle = await service.again();
        t.match(idle, { origin: row.origin, warnings: [] });
        t.equal(service.where(idle), places[0]);

        await sleep(1_500);
        t.equal(await state(), row.idleExit ? 'inactive' : 'active', 'idle exit');

        service.configure(0);
        t.equal((await (row.idleExit ? service.start() : service.again())).origin, row.origin);
        t.match(await service.ask(0), 'HTTP/1.1 200 OK');
        service.configure(1);
        const moved = await service.again();
        const stays = row.moved === 'stays and warns';
        t.equal(moved.origin, stays ? 'manager' : 'self');
        t.equal(service.where(moved), places[stays ? 0 : 1], 'the address that counts');
        t.strictSame(moved.warnings, stays ? ['LISTENFDS_ADDRESS_MISMATCH'] : []);
        if (!stays) {
          t.match(await service.ask(1), 'HTTP/1.1 200 OK');
          await sleep(200); // the process before it drains
          t.match(await service.ask(0), /^(ECONNREFUSED|ENOENT)$/, 'nobody listens where nobody is meant to');
        }

        service.configure(0);
        await service.again();
        await service.again();
        await lab.systemctl('stop', 'web.service');
        if (kind === 'unix') t.equal(existsSync(lab.path(places[0] as string)), row.path === 'stays', 'its path');
        t.match(await service.ask(0), row.kept ? 'HTTP/1.1 200 OK' : /^(ECONNREFUSED|ENOENT)$/, 'who keeps it');

        service.configure(0, {}, 500);
        if (!row.kept) await service.start();
        t.equal((await service.again()).origin, row.origin);
        const { before, answers } = await service.queue(row.origin === 'store' ? 'restart' : 'stop');
        const others = new Set(answers.filter((answer) => answer !== before));
        if (row.queue === 'accepted') t.strictSame([...others], [], 'its queue is accepted');
        else t.match([...others], [/^\d+$/], 'its queue is for the next process');
      });
    });
  }
}
